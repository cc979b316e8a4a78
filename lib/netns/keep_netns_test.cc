// Mounts in a mount namespace of the test's own.
#include "lib/netns/keep.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/netns/netns.h"

namespace multinet::netns {
namespace {

class KeepTest : public testing::Test {
 protected:
  KeepTest() : directory_(testing::TempDir() + "/keepXXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
  }
  ~KeepTest() override {
    static_cast<void>(forget(path()));
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/run/switch"; }
  std::string directory_;
};

TEST_F(KeepTest, ASuccessorFindsTheSame) {
  Identity first;
  {
    auto made = keep(path());
    ASSERT_TRUE(made) << made.error().message;
    first = identity(*made).value();
  }
  const Fd found = keep(path()).value();
  EXPECT_EQ(identity(found).value(), first);
  EXPECT_NE(identity(found).value(), identity(openOwn().value()).value());
}

TEST_F(KeepTest, WhatIsForgottenIsGone) {
  const auto first = identity(keep(path()).value()).value();
  ASSERT_TRUE(forget(path()));
  EXPECT_FALSE(std::filesystem::exists(path()));
  ASSERT_TRUE(forget(path()));
  const Fd other = keep(path()).value();
  EXPECT_NE(identity(other).value(), first);
}

TEST_F(KeepTest, AMountThatSomebodyTookAwayComesBack) {
  const Fd made = keep(path()).value();
  EXPECT_FALSE(keepAgain(made, path()).value());
  ASSERT_TRUE(forget(path()));
  EXPECT_TRUE(keepAgain(made, path()).value());
  const auto another = netns::make().value();
  EXPECT_TRUE(keepAgain(another, path()).value()) << "another namespace in its place";
  EXPECT_EQ(identity(keep(path()).value()).value(), identity(another).value());
}

TEST_F(KeepTest, AFileThatIsNoNamespaceIsMountedOver) {
  std::filesystem::create_directories(directory_ + "/run");
  std::FILE* file = std::fopen(path().c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fclose(file);
  EXPECT_TRUE(keep(path()));
}

}  // namespace
}  // namespace multinet::netns
