// Needs root: programs of control groups can't be loaded from a user namespace. Each test has a
// bpffs and a control group of its own.
#include "lib/bpf/object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gmock/gmock.h>

#include "lib/bpf/count.bpf.h"
#include "lib/bpf/test_ground.h"

namespace multinet::bpf {
namespace {

using testing::HasSubstr;

class ObjectTest : public testing::Test {
 protected:
  [[nodiscard]] Object load() const {
    auto object = Object::load(objects::count, "count", ground_.directory());
    if (!object) throw std::runtime_error(object.error().message);
    return std::move(*object);
  }

  /// errno of a connect to that port of the loopback by a process of the control group.
  [[nodiscard]] int connectFromGroup(std::uint16_t port) const {
    return ground_.inGroup([port] {
      const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const auto* address = reinterpret_cast<const sockaddr*>(&to);
      return ::connect(socket.get(), address, sizeof to) == 0 ? 0 : errno;
    });
  }

  static std::uint64_t countOf(const Map& map, std::uint32_t port) {
    std::uint64_t found = ~0ULL;
    const auto read = map.each([&](Bytes key, Bytes value) {
      if (std::memcmp(key.data(), &port, sizeof port) == 0) {
        std::memcpy(&found, value.data(), sizeof found);
      }
    });
    EXPECT_TRUE(read) << read.error().message;
    return found;
  }

  TestGround ground_;
};

TEST_F(ObjectTest, ProgramsSeeTheGroupsConnectsAndNoOthers) {
  Object object = load();
  auto counts = object.map("counts");
  ASSERT_TRUE(counts) << counts.error().message;
  const std::uint32_t port = 9;
  const std::uint64_t none = 0;
  ASSERT_TRUE(counts->put(bytesOf(port), bytesOf(none)));
  EXPECT_EQ(connectFromGroup(7), 0) << "not attached yet";
  const auto attached = object.attach(ground_.group());
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(attached->made, 1U);
  EXPECT_EQ(connectFromGroup(9), 0);
  EXPECT_EQ(connectFromGroup(7), EPERM);
  EXPECT_EQ(countOf(*counts, port), 1U);
}

TEST_F(ObjectTest, WhatIsKeptIsTakenOverUntouched) {
  const std::uint32_t port = 9;
  const std::uint64_t before = 41;
  {
    Object first = load();
    ASSERT_TRUE(first.map("counts")->put(bytesOf(port), bytesOf(before)));
    ASSERT_TRUE(first.attach(ground_.group()));
  }
  EXPECT_EQ(connectFromGroup(7), EPERM) << "it goes on when its maker has ended";
  EXPECT_EQ(connectFromGroup(9), 0);
  Object second = load();
  EXPECT_EQ(countOf(*second.map("counts"), port), 42U);
  const auto attached = second.attach(ground_.group());
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(attached->kept, 1U);
  EXPECT_EQ(attached->made + attached->replaced, 0U);
}

TEST_F(ObjectTest, AGroupThatWasMadeAgainIsAttachedToAgain) {
  Object object = load();
  ASSERT_TRUE(object.attach(ground_.group()));
  ASSERT_EQ(::rmdir(ground_.group().c_str()), 0);
  ASSERT_EQ(::mkdir(ground_.group().c_str(), 0755), 0);
  EXPECT_EQ(connectFromGroup(7), 0);
  const auto attached = object.attach(ground_.group());
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(attached->made, 1U);
  EXPECT_EQ(connectFromGroup(7), EPERM);
}

TEST_F(ObjectTest, AFullMapIsTold) {
  Object object = load();
  auto counts = object.map("counts");
  const std::uint64_t none = 0;
  for (std::uint32_t port : {1U, 2U}) ASSERT_TRUE(counts->put(bytesOf(port), bytesOf(none)));
  const std::uint32_t third = 3;
  const auto full = counts->put(bytesOf(third), bytesOf(none));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, "MapFull");
  EXPECT_THAT(full.error().message, HasSubstr("counts"));
  ASSERT_TRUE(counts->erase(bytesOf(third))) << "nothing there is success";
  const std::uint32_t first = 1;
  ASSERT_TRUE(counts->erase(bytesOf(first)));
  EXPECT_TRUE(counts->put(bytesOf(third), bytesOf(none)));
}

/// Attaches the test's program to a group as others do that know no links.
void attachWithFlags(const std::string& directory, const std::string& group, unsigned flags,
                     int& program) {
  const Fd link(bpf_obj_get((directory + "/link_connect4").c_str()));
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  ASSERT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &length), 0);
  program = bpf_prog_get_fd_by_id(info.prog_id);
  const auto opened = openCgroup(group);
  ASSERT_TRUE(opened);
  ASSERT_EQ(bpf_prog_attach(program, opened->get(), BPF_CGROUP_INET4_CONNECT, flags), 0)
      << std::strerror(errno);
}

TEST_F(ObjectTest, AProgramThatSuffersNoOtherIsLeftAloneAndTold) {
  const std::string elsewhere = ground_.parent() + "/theirs";
  ASSERT_EQ(::mkdir(elsewhere.c_str(), 0755), 0);
  for (const unsigned flags : {0U, unsigned{BPF_F_ALLOW_OVERRIDE}}) {
    Object object = load();
    ASSERT_TRUE(object.attach(elsewhere));
    int theirs = -1;
    ASSERT_NO_FATAL_FAILURE(attachWithFlags(ground_.directory(), ground_.parent(), flags, theirs));
    const Fd program(theirs);
    // The group that it was attached to is gone: it is to be attached anew.
    const auto taken = object.attach(ground_.group());
    ASSERT_FALSE(taken) << flags;
    EXPECT_EQ(taken.error().reason, "CgroupTaken");
    EXPECT_THAT(taken.error().message, HasSubstr(ground_.parent()));
    const auto parent = openCgroup(ground_.parent());
    ASSERT_EQ(bpf_prog_detach2(theirs, parent->get(), BPF_CGROUP_INET4_CONNECT), 0);
    EXPECT_TRUE(object.attach(ground_.group()));
    ASSERT_TRUE(forgetBpffs(ground_.directory()));
    ASSERT_TRUE(mountBpffs(ground_.directory()));
  }
  ASSERT_EQ(::rmdir(elsewhere.c_str()), 0);
}

TEST_F(ObjectTest, WithABpffsGoesAllThatIsKept) {
  ASSERT_TRUE(load().attach(ground_.group()));
  EXPECT_EQ(connectFromGroup(7), EPERM);
  ASSERT_TRUE(forgetBpffs(ground_.directory()));
  ASSERT_TRUE(forgetBpffs(ground_.directory())) << "nothing there is success";
  for (int i = 0; i < 200 && connectFromGroup(7) != 0; ++i) ::usleep(10'000);
  EXPECT_EQ(connectFromGroup(7), 0);
  ASSERT_TRUE(mountBpffs(ground_.directory()));
}

TEST_F(ObjectTest, WhatWasUnmountedIsKeptAgain) {
  Object object = load();
  ASSERT_TRUE(object.attach(ground_.group()));
  ASSERT_TRUE(forgetBpffs(ground_.directory()));
  ASSERT_TRUE(mountBpffs(ground_.directory()));
  ASSERT_TRUE(object.keepMaps());
  EXPECT_TRUE(object.keepMaps()) << "what is there stays";
  const auto attached = object.attach(ground_.group());
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_GT(attached->made, 0U);
  EXPECT_EQ(connectFromGroup(7), EPERM);
  const auto next = load().attach(ground_.group());
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->made, 0U) << "a successor finds all of it";
}

TEST_F(ObjectTest, WhatTheKernelCantLoadIsToldWithItsWords) {
  const std::vector<unsigned char> rubbish(100, 'x');
  const auto refused = Object::load(rubbish, "rubbish", ground_.directory());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("rubbish"));
}

}  // namespace
}  // namespace multinet::bpf
