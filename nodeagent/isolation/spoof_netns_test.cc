// What a pod can get past its port with raw sockets: each rule, each mode of port security.
#include <algorithm>

#include "nodeagent/isolation/test_spoof.h"
#include "nodeagent/isolation/test_xdp.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

const TestPod& pod(unsigned number) {
  static const std::array<TestPod, 2> pods{TestPod(1), TestPod(2)};
  return pods.at(number - 1);
}

class SpoofTest : public SwitchTest,
                  public testing::WithParamInterface<std::pair<PortSecurity, Way>> {
 protected:
  void SetUp() override {
    SwitchTest::SetUp();
    ask(GetParam().first);
    plug(pod(1));
    plug(pod(2));
  }
};

TEST_P(SpoofTest, AFramePassesOnlyWhereItsModeLetsIt) {
  const auto [security, way] = GetParam();
  const RawSocket raw = pod(1).raw(way == Way::Bypass);
  std::optional<XdpSocket> xdp;
  if (way == Way::Xdp) {
    xdp = XdpSocket::open(pod(1).netns(), "net1");
    if (!xdp) GTEST_SKIP() << "the kernel has no AF_XDP";
  }
  const auto send = [&](const Bytes& frame) { xdp ? xdp->send(frame) : raw.send(frame); };
  const RawSocket receiver = pod(2).raw();
  unsigned mark = 0;
  for (const Case& one : spoofCases(pod(1), pod(2), pod(2).mac())) {
    const bool wanted = passes(one.when, security);
    const std::uint64_t before = wanted ? 0 : dropped(one.reason);
    send(one.frame);
    // What follows in the queue tells that the frame before it is through, or never will be.
    const Bytes last = ethernet(kEverybody, pod(1).mac(), kIpv4,
                                ipv4(pod(1).v4(), pod(2).v4(), kUdp, udp(7777, 10000 + ++mark)));
    send(last);
    bool seen = false;
    for (Bytes heard = receiver.next(); heard != last; heard = receiver.next()) {
      ASSERT_FALSE(heard.empty()) << one.name << ": the pod is cut off";
      seen = seen || heard == one.frame;
    }
    EXPECT_EQ(seen, wanted) << one.name;
    if (wanted) continue;
    EXPECT_EQ(dropped(one.reason), before + 1) << one.name << ": " << one.reason;
  }
}

std::string nameOf(const testing::TestParamInfo<std::pair<PortSecurity, Way>>& mode) {
  static constexpr std::array kWays{"Queue", "Bypass", "Xdp"};
  return std::string(api::name(mode.param.first)) +
         kWays.at(static_cast<std::size_t>(mode.param.second));
}

INSTANTIATE_TEST_SUITE_P(Modes, SpoofTest,
                         testing::Values(std::pair{PortSecurity::Enforced, Way::Queue},
                                         std::pair{PortSecurity::Enforced, Way::Bypass},
                                         std::pair{PortSecurity::Enforced, Way::Xdp},
                                         std::pair{PortSecurity::MacOnly, Way::Queue},
                                         std::pair{PortSecurity::MacOnly, Way::Bypass},
                                         std::pair{PortSecurity::MacOnly, Way::Xdp},
                                         std::pair{PortSecurity::Disabled, Way::Queue}),
                         nameOf);

}  // namespace
}  // namespace multinet::agent::isolation
