// What a module does that is loaded beside the agent. Only a machine of its own can load it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "lib/netns/netns.h"
#include "nodeagent/networks/kernel_networks.h"

namespace multinet::agent::networks {
namespace {

constexpr const char* kModule = "br_netfilter";
constexpr const char* kSeesBridges = "bridge/bridge-nf-call-iptables";

bool load() {
  std::string program = "modprobe";
  std::string module = kModule;
  std::array<char*, 3> arguments = {program.data(), module.data(), nullptr};
  pid_t pid = 0;
  if (::posix_spawnp(&pid, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
    return false;
  }
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && status == 0;
}

bool unload() {
  return ::syscall(SYS_delete_module, kModule, O_NONBLOCK) == 0;
}

/// Empty where the key isn't there.
std::string seesBridges(const Fd& netns) {
  const auto scope = netns::Scope::enter(netns).value();
  return netns::readSysctl(kSeesBridges).value_or("");
}

bool eventually(const std::function<bool()>& wanted) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < limit) {
    if (wanted()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

TEST(NetworksOnANode, AFirewallForBridgesThatIsLoadedLaterSeesNothingOfTheSwitch) {
  ASSERT_TRUE(unload());
  const Fd node = netns::make().value();
  const Fd inner = netns::make().value();
  NetworksOptions options;
  options.node = NodeName("one");
  options.compareEvery = std::chrono::milliseconds(500);
  const auto scope = netns::Scope::enter(node).value();
  const auto networks =
      KernelNetworks::start(options, inner.duplicate().value(), [](const auto& /*snapshot*/) {
      }).value();
  networks->setDesired({});
  ASSERT_TRUE(eventually([&] { return networks->snapshot()->settled; }));
  ASSERT_EQ(seesBridges(inner), "") << "the module is still there";

  ASSERT_TRUE(load());
  EXPECT_EQ(seesBridges(node), "1") << "what the module brings";
  EXPECT_TRUE(eventually([&] { return seesBridges(inner) == "0"; }));
}

}  // namespace
}  // namespace multinet::agent::networks
