#include "lib/bpf/cgroup.h"

#include <gmock/gmock.h>

namespace multinet::bpf {
namespace {

TEST(Cgroup2Mount, IsFoundAloneAndBesideVersion1) {
  EXPECT_EQ(
      *cgroup2MountIn("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"),
      "/sys/fs/cgroup");
  EXPECT_EQ(*cgroup2MountIn("31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                            "32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"),
            "/sys/fs/cgroup/unified");
}

TEST(Cgroup2Mount, WhatIsMissingIsToldWithARemedy) {
  for (const char* text : {"", "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
                           "a line that is cut of", "30 23 0:26 / /x rw - cgroup2x a rw"}) {
    const auto found = cgroup2MountIn(text);
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().reason, "NoCgroup2");
    EXPECT_THAT(found.error().message, testing::HasSubstr("mount -t cgroup2"));
  }
}

}  // namespace
}  // namespace multinet::bpf
