// Pods on ipvlans of one parent, on a kernel that has them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "lib/base/failpoint.h"
#include "nodeagent/attach/test_host.h"
#include "nodeagent/isolation/port_rules.h"

namespace multinet::agent::attach {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// 10.30.0.N and fd00:30::N on `parent0`.
Desired podPlan(const std::string& intent, unsigned number, api::IpvlanMode mode) {
  InterfacePlan plan = testMacvlanPlan("net1", "10.30.0.", number);
  plan.link = drivers::ipvlan::Link{"parent0", mode};
  plan.mtu = 1500;
  plan.addresses.push_back(
      {InterfaceAddress::parse("fd00:30::" + std::to_string(number) + "/64").value(),
       std::nullopt});
  return {IntentId(intent), {plan}};
}

sockaddr_in addressOf(const std::string& text, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &address.sin_addr), 1);
  return address;
}

Fd udpSocket(const Fd& netns) {
  const auto scope = netns::Scope::enter(netns).value();
  return Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// Whether a packet of full size gets from one namespace to an address in another.
bool reaches(const Fd& from, const Fd& to, const std::string& address) {
  const Fd receiver = udpSocket(to);
  const sockaddr_in any = addressOf("0.0.0.0", 7777);
  EXPECT_EQ(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  const Fd sender = udpSocket(from);
  const sockaddr_in target = addressOf(address, 7777);
  const std::string packet(1472, 'x');
  const auto limit = steady_clock::now() + std::chrono::seconds(10);
  while (steady_clock::now() < limit) {
    static_cast<void>(::sendto(sender.get(), packet.data(), packet.size(), 0,
                               reinterpret_cast<const sockaddr*>(&target), sizeof target));
    char byte = 0;
    if (::recv(receiver.get(), &byte, 1, 0) > 0) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

class IpvlanNetns : public testing::TestWithParam<api::IpvlanMode> {
 protected:
  IpvlanNetns() {
    TestHost::run(host_.socket(), netlink::setUp({0, "parent0"}));
    parent_ = netlink::findLink(host_.socket(), {0, "parent0"}).value();
  }
  ~IpvlanNetns() override {
    static_cast<void>(failpoint::arm(""));
    // Whatever these pods do is honest.
    for (const auto& [reason, frames] : guard_->drops()) {
      EXPECT_TRUE(frames == 0 || reason == mayBeDropped_) << frames << " " << reason;
    }
  }
  /// What stands in a pod.
  static nft::Elements heldIn(const Fd& netns) {
    const auto scope = netns::Scope::enter(netns).value();
    auto committer = nft::Committer::open().value();
    const auto listing = committer.list(isolation::podTable({}, {})).value();
    return listing ? listing->sets : nft::Elements{};
  }
  /// An address on a link of the socket's namespace.
  static void give(netlink::Socket& socket, const std::string& link, const std::string& address) {
    const int index = netlink::findLink(socket, {0, link}).value().index;
    TestHost::run(socket, netlink::addAddress(index, InterfaceAddress::parse(address).value()));
  }
  static netlink::LinkInfo linkIn(const Fd& netns) {
    netlink::Socket socket = TestHost::socketIn(netns);
    return netlink::findLink(socket, {0, "net1"}).value_or(netlink::LinkInfo{});
  }
  SystemClock clock_;
  std::unique_ptr<isolation::PortGuard> guard_ =
      isolation::PortGuard::start(std::nullopt, {}, clock_).value();
  TestHost host_{guard_.get()};
  netlink::LinkInfo parent_;
  std::string mayBeDropped_;  ///< the reason
};

TEST_P(IpvlanNetns, PodsReachEachOtherAndNothingIsRepairedThatIsRight) {
  const Fd one = netns::make().value();
  const Fd two = netns::make().value();
  const auto first = podPlan("one", 1, GetParam());
  const auto made = host_.attach(first, one);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->at(0).plan.mac, parent_.mac) << "what is told is the parent's";
  EXPECT_EQ(linkIn(one).kind, "ipvlan");
  EXPECT_EQ(linkIn(one).mac, parent_.mac);
  const auto other = host_.attach(podPlan("two", 2, GetParam()), two);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_TRUE(reaches(one, two, "10.30.0.2"));
  EXPECT_TRUE(reaches(two, one, "10.30.0.1"));
  const auto upkeep = host_.maintain(first, one);
  ASSERT_TRUE(upkeep) << upkeep.error().message;
  EXPECT_TRUE(upkeep->repairs.empty()) << upkeep->repairs.at(0);
  EXPECT_EQ(upkeep->interfaces.at(0).plan.mac, parent_.mac);
  EXPECT_TRUE(host_.attach(first, one)) << "again";
}

TEST_P(IpvlanNetns, PodsReachTheWire) {
  netlink::Socket wire = TestHost::socketIn(host_.wire());
  give(host_.socket(), "parent0", "172.18.0.1/24");
  give(wire, "parent1", "172.18.0.2/24");
  const bool onWire = GetParam() == api::IpvlanMode::L2;
  if (onWire) {
    give(wire, "parent1", "10.30.0.254/16");
  } else {
    netlink::RouteInfo back;  // nobody answers for pods, so others go by the node
    back.to = IpPrefix::parse("10.30.0.0/16").value();
    back.via = IpAddress::parse("172.18.0.1").value();
    back.linkIndex = netlink::findLink(wire, {0, "parent1"}).value().index;
    TestHost::run(wire, netlink::addRoute(back));
  }
  const Fd pod = netns::make().value();
  Desired plan = podPlan("one", 1, GetParam());
  plan.interfaces[0].routes = {
      {IpPrefix::parse("172.18.0.0/24").value(), IpAddress::parse("10.30.0.254").value()}};
  const auto made = host_.attach(plan, pod);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(reaches(pod, host_.wire(), onWire ? "10.30.0.254" : "172.18.0.2"));
  EXPECT_TRUE(reaches(host_.wire(), pod, "10.30.0.1"));
}

TEST_P(IpvlanNetns, ALinkIsMadeAnewAndTakenOut) {
  const Fd pod = netns::make().value();
  const auto plan = podPlan("one", 1, GetParam());
  ASSERT_TRUE(host_.attach(plan, pod));
  netlink::Socket inside = TestHost::socketIn(pod);
  TestHost::run(inside, netlink::deleteLink({0, "net1"}));
  const auto upkeep = host_.maintain(plan, pod);
  ASSERT_TRUE(upkeep) << upkeep.error().message;
  EXPECT_EQ(upkeep->interfaces.at(0).state, InterfaceState::Attached)
      << upkeep->interfaces.at(0).message;
  EXPECT_EQ(linkIn(pod).kind, "ipvlan");
  ASSERT_TRUE(host_.detach(plan, pod));
  EXPECT_EQ(linkIn(pod).index, 0);
}

TEST_P(IpvlanNetns, AnAddressThatADyingPodStillHoldsIsWaitedFor) {
  {
    const Fd dying = netns::make().value();
    const Desired plan = podPlan("dying", 1, GetParam());
    const auto& link = std::get<drivers::ipvlan::Link>(plan.interfaces[0].link);
    const std::string name = "dying0";
    const drivers::NewLink made{plan.intent, plan.interfaces[0].name, {}, 1500, name};
    const drivers::CreateLink step = link.create(made, parent_);
    TestHost::run(host_.socket(), step.request(step, dying.get()));
    netlink::Socket inside = TestHost::socketIn(dying);
    give(inside, name, "10.30.0.1/16");
  }
  // The kernel takes its namespace apart now. Where that takes longer than an attach waits (in an
  // emulated machine), the kubelet asks again.
  const Fd pod = netns::make().value();
  auto made = host_.attach(podPlan("next", 1, GetParam()), pod);
  for (unsigned again = 0; again < 10 && !made; ++again) {
    EXPECT_EQ(made.error().code, Code::Unavailable) << made.error().message;
    made = host_.attach(podPlan("next", 1, GetParam()), pod);
  }
  EXPECT_TRUE(made) << made.error().message;
}

TEST_P(IpvlanNetns, AnAddressOfAnotherPodIsAnErrorThatLeavesNothing) {
  const Fd one = netns::make().value();
  const Fd two = netns::make().value();
  ASSERT_TRUE(host_.attach(podPlan("one", 1, GetParam()), one));
  EXPECT_FALSE(host_.attach(podPlan("two", 1, GetParam()), two));
  EXPECT_EQ(linkIn(two).index, 0);
  EXPECT_NE(linkIn(one).index, 0);
}

TEST_P(IpvlanNetns, ALinkIsSecuredBeforeItIsUpAndWhatItsPodUndoesIsPutBack) {
  const Fd pod = netns::make().value();
  const Desired plan = podPlan("one", 1, GetParam());
  guard_->setNetworks({{NetworkUid(), api::PortSecurity::Enforced}}, {4799});
  ASSERT_TRUE(failpoint::arm("isolation.pod.before=error"));
  const auto refused = host_.attach(plan, pod);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_EQ(linkIn(pod).index, 0);
  ASSERT_TRUE(failpoint::arm(""));
  const auto made = host_.attach(plan, pod);
  ASSERT_TRUE(made) << made.error().message;
  const PortSecured told = made->at(0).secured;
  EXPECT_TRUE(told.holds);
  EXPECT_EQ(told.reason, "Enforced");
  EXPECT_NE(told.message.find("NET_ADMIN"), std::string::npos);
  EXPECT_EQ(told.message.find("wire") != std::string::npos, GetParam() == api::IpvlanMode::L3S);
  EXPECT_EQ(heldIn(pod).at("addresses4"), std::set<std::string>{"net1 . 10.30.0.1"});
  const std::uint64_t commits = guard_->commits();
  const auto looked = host_.maintain(plan, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->interfaces.at(0).secured, told);
  EXPECT_EQ(guard_->commits(), commits) << "what is as wished costs no transaction";
  {
    const auto scope = netns::Scope::enter(pod).value();
    ASSERT_TRUE(nft::Committer::open().value().commit("delete table netdev multinet\n"));
  }
  ASSERT_TRUE(host_.maintain(plan, pod));
  EXPECT_EQ(heldIn(pod).at("addresses4"), std::set<std::string>{"net1 . 10.30.0.1"});
  EXPECT_EQ(guard_->commits(), commits + 1);
}

/// By a bond that fails over, for one.
TEST_P(IpvlanNetns, ADeviceMayGetAnotherMac) {
  const Fd one = netns::make().value();
  const Fd two = netns::make().value();
  const Desired first = podPlan("one", 1, GetParam());
  ASSERT_TRUE(host_.attach(first, one));
  mayBeDropped_ = "source_mac";  // until the pod is looked at
  const MacAddress other = MacAddress::derive("another");
  TestHost::run(host_.socket(), netlink::setMac({0, "parent0"}, other));
  ASSERT_TRUE(host_.attach(podPlan("two", 2, GetParam()), two));
  EXPECT_EQ(*heldIn(two).at("macs").begin(), "net1 . " + other.str());
  ASSERT_TRUE(host_.maintain(first, one));
  EXPECT_EQ(*heldIn(one).at("macs").begin(), "net1 . " + other.str());
  EXPECT_TRUE(reaches(one, two, "10.30.0.2"));
}

INSTANTIATE_TEST_SUITE_P(Modes, IpvlanNetns,
                         testing::Values(api::IpvlanMode::L2, api::IpvlanMode::L3,
                                         api::IpvlanMode::L3S),
                         [](const auto& one) { return std::string(api::name(one.param)); });

}  // namespace
}  // namespace multinet::agent::attach
