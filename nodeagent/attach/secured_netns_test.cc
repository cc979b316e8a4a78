// Rules of ports around an interface's life: there before its link, gone after it, whatever fails
// in between.
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "lib/base/failpoint.h"
#include "nodeagent/attach/test_host.h"
#include "nodeagent/isolation/test_frames.h"

namespace multinet::agent::attach {
namespace {

using namespace isolation;
using std::chrono::milliseconds;
using std::chrono::seconds;

Desired desiredOf(const std::string& intent, unsigned number) {
  return {IntentId(intent), {testBridgePlan("net1", number)}};
}

class SecuredTest : public testing::Test {
 protected:
  SecuredTest() {
    for (const char* what : {"iptables", "ip6tables", "arptables"}) {
      static_cast<void>(netns::writeSysctl(std::string("bridge/bridge-nf-call-") + what, "0"));
    }
  }
  ~SecuredTest() override {
    static_cast<void>(failpoint::arm(""));
    host_.reset();
    guard_.reset();
    static_cast<void>(PortGuard::clear());
  }
  std::map<std::string, nft::Elements> ports() {
    const auto listing = other_.list(portTable()).value();
    return listing ? portsIn(listing->sets) : std::map<std::string, nft::Elements>{};
  }
  std::size_t nodeEnds() {
    const auto links = netlink::findLinks(host_->socket()).value();
    return static_cast<std::size_t>(std::ranges::count_if(
        links, [](const netlink::LinkInfo& link) { return link.name.starts_with("mnv"); }));
  }

  SystemClock clock_;
  nft::Committer other_ = nft::Committer::open().value();
  std::unique_ptr<PortGuard> guard_ = PortGuard::start(std::nullopt, {}, clock_).value();
  std::unique_ptr<TestHost> host_ = std::make_unique<TestHost>(guard_.get());
};

TEST_F(SecuredTest, AnInterfaceIsSecuredAsLongAsItIsThere) {
  const Fd pod = netns::make().value();
  const Desired desired = desiredOf("one", 7);
  const auto attached = host_->attach(desired, pod);
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(attached->front().secured.reason, "Enforced");
  ASSERT_EQ(ports().size(), 1U);
  EXPECT_TRUE(ports().begin()->second.at("addresses4").begin()->ends_with(" . 10.20.0.7"));
  const std::uint64_t commits = guard_->commits();
  ASSERT_TRUE(host_->attach(desired, pod));
  const auto looked = host_->maintain(desired, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->interfaces.front().secured, attached->front().secured);
  EXPECT_EQ(guard_->commits(), commits);
  ASSERT_TRUE(host_->detach(desired, pod));
  EXPECT_TRUE(ports().empty());
}

TEST_F(SecuredTest, AFailureLeavesNeitherLinkNorRules) {
  const Fd pod = netns::make().value();
  for (const char* place : {"isolation.commit.before", "isolation.commit.after",
                            "attach.create.before", "attach.create.after", "attach.sysctl.after",
                            "attach.configure.before", "attach.configure.after"}) {
    ASSERT_TRUE(failpoint::arm(std::string(place) + "@1=error"));
    EXPECT_FALSE(host_->attach(desiredOf("one", 7), pod)) << place;
    ASSERT_TRUE(failpoint::arm(""));
    EXPECT_EQ(nodeEnds(), 0U) << place;
    // What the kernel took although it was told otherwise is removed by the next look.
    const auto limit = std::chrono::steady_clock::now() + seconds(20);
    while (!ports().empty() && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    EXPECT_TRUE(ports().empty()) << place;
  }
  ASSERT_TRUE(host_->attach(desiredOf("one", 7), pod));
  EXPECT_EQ(ports().size(), 1U);
}

TEST_F(SecuredTest, AnInterfaceOfAnEarlierVersionIsSecuredAtTheFirstLook) {
  host_ = nullptr;
  host_ = std::make_unique<TestHost>();
  const Fd pod = netns::make().value();
  const Desired desired = desiredOf("one", 7);
  ASSERT_TRUE(host_->attach(desired, pod));
  EXPECT_TRUE(ports().empty());
  auto home = netlink::Socket::open().value();
  Pod inner = TestHost::open(pod);
  const auto looked = maintainPod({home, home}, inner, {.ports = guard_.get()}, desired, nullptr);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->interfaces.front().secured.reason, "Enforced");
  EXPECT_TRUE(looked->repairs.empty());
  EXPECT_EQ(ports().size(), 1U);
}

TEST_F(SecuredTest, ARunningPodGoesOnWhereItsRulesAreRefused) {
  const Fd pod = netns::make().value();
  const Desired desired = desiredOf("one", 7);
  ASSERT_TRUE(host_->attach(desired, pod));
  guard_->setNetworks({{NetworkUid(), api::PortSecurity::MacOnly}}, {});
  ASSERT_TRUE(failpoint::arm("isolation.commit.before=error"));
  guard_->setNetworks({{NetworkUid(), api::PortSecurity::Enforced}}, {});
  const auto looked = host_->maintain(desired, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->interfaces.front().state, InterfaceState::Attached);
  EXPECT_EQ(looked->interfaces.front().link, LinkState::Up);
  EXPECT_FALSE(looked->interfaces.front().secured.holds);
  EXPECT_EQ(looked->interfaces.front().secured.reason, "CommitFailed");
}

/// Of table `multinet` of family netdev, in the namespace of the calling thread.
std::map<std::string, nft::Elements> onParents() {
  auto committer = nft::Committer::open().value();
  const auto listing = committer.list(parentTable({})).value();
  return listing ? portsIn(listing->sets) : std::map<std::string, nft::Elements>{};
}

TEST_F(SecuredTest, AMacvlanIsSecuredOnItsParentAndInItsPod) {
  const Fd pod = netns::make().value();
  Desired desired{IntentId("one"),
                  {testMacvlanPlan("net1", "10.30.0.", 7), testMacvlanPlan("net2", "10.31.0.", 7)}};
  const auto attached = host_->attach(desired, pod);
  ASSERT_TRUE(attached) << attached.error().message;
  for (const InterfaceStatus& one : *attached) {
    EXPECT_TRUE(one.secured.holds);
    EXPECT_EQ(one.secured.reason, "Enforced");
    EXPECT_NE(one.secured.message.find("parent0"), std::string::npos);
  }
  EXPECT_TRUE(ports().empty());
  EXPECT_EQ(onParents().size(), 2U);
  const auto inPod = [&] {
    const auto scope = netns::Scope::enter(pod).value();
    return onParents();
  };
  EXPECT_EQ(inPod().size(), 2U);
  EXPECT_TRUE(inPod().contains("net1") && inPod().contains("net2"));
  const std::uint64_t commits = guard_->commits();
  const auto looked = host_->maintain(desired, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_TRUE(looked->repairs.empty());
  EXPECT_EQ(looked->interfaces.front().secured.reason, "Enforced");
  EXPECT_EQ(guard_->commits(), commits) << "what is as wished costs no transaction";
  {
    const auto scope = netns::Scope::enter(pod).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::deleteLink({0, "net2"})));
  }
  ASSERT_TRUE(host_->maintain(desired, pod));
  EXPECT_EQ(inPod().size(), 2U);
  ASSERT_TRUE(host_->detach(desired, pod));
  EXPECT_TRUE(onParents().empty());
}

TEST_F(SecuredTest, AParentThatIsRenamedTakesNothingOutOfThePod) {
  host_->makePair("parent2", "parent3", host_->wire());
  const Fd pod = netns::make().value();
  Desired desired{IntentId("one"),
                  {testMacvlanPlan("net1", "10.30.0.", 7), testMacvlanPlan("net2", "10.31.0.", 7)}};
  desired.interfaces[1].link = drivers::macvlan::Link{"parent2"};
  ASSERT_TRUE(host_->attach(desired, pod));
  const auto inPod = [&] {
    const auto scope = netns::Scope::enter(pod).value();
    return onParents();
  };
  const auto before = inPod();
  ASSERT_EQ(before.size(), 2U);
  const int index = netlink::findLink(host_->socket(), {0, "parent0"}).value().index;
  TestHost::run(host_->socket(), netlink::setDown({index, ""}));
  TestHost::run(host_->socket(), netlink::relabel(index, {"old0"}));
  TestHost::run(host_->socket(), netlink::setUp({index, ""}));
  const auto looked = host_->maintain(desired, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->interfaces[0].state, InterfaceState::Failed);
  EXPECT_TRUE(looked->interfaces[1].secured.holds);
  EXPECT_EQ(inPod(), before);
  // What the pod does to them is put back as ever.
  {
    const auto scope = netns::Scope::enter(pod).value();
    auto inner = nft::Committer::open().value();
    ASSERT_TRUE(inner.commit("flush set netdev multinet macs\n"));
  }
  ASSERT_TRUE(host_->maintain(desired, pod));
  EXPECT_EQ(inPod(), before);
  ASSERT_TRUE(host_->detach(desired, pod));
  host_->removeLink("parent2");
}

/// Moved where nobody can look for it, the link holds its MAC on the parent.
void hide(const std::string& name, const Fd& pod, const Fd& elsewhere) {
  {
    netlink::Socket inner = TestHost::socketIn(pod);
    ifinfomsg header{};
    header.ifi_index = netlink::findLink(inner, {0, name}).value().index;
    netlink::Message message(RTM_NEWLINK, NLM_F_ACK);
    message.header(header);
    message.putU32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(elsewhere.get()));
    TestHost::run(inner, {std::move(message), "move " + name});
  }
  netlink::Socket there = TestHost::socketIn(elsewhere);
  TestHost::run(there, netlink::setUp({0, name}));
}

TEST_F(SecuredTest, ALinkThatIsMadeAnewWithAnotherMacIsntCutOff) {
  const Fd pod = netns::make().value();
  const Fd elsewhere = netns::make().value();
  const Desired desired{
      IntentId("one"),
      {testMacvlanPlan("net1", "10.30.0.", 7), testMacvlanPlan("net2", "10.31.0.", 7)}};
  ASSERT_TRUE(host_->attach(desired, pod));
  hide("net1", pod, elsewhere);
  hide("net2", pod, elsewhere);
  const auto looked = host_->maintain(desired, pod);
  ASSERT_TRUE(looked) << looked.error().message;
  const auto onNode = onParents();
  const auto scope = netns::Scope::enter(pod).value();
  const auto inPod = onParents();
  for (std::size_t i = 0; i < desired.interfaces.size(); ++i) {
    const InterfaceStatus& status = looked->interfaces[i];
    ASSERT_EQ(status.state, InterfaceState::Attached) << status.message;
    const std::string mac = status.plan.mac.str();
    EXPECT_NE(status.plan.mac, desired.interfaces[i].mac);
    const std::string& name = status.plan.name.str();
    EXPECT_EQ(inPod.at(name).at("macs"), std::set<std::string>{name + " . " + mac});
    EXPECT_TRUE(onNode.contains(mac)) << name;
  }
}

TEST_F(SecuredTest, AMacvlanIsntMadeWhereItsRulesAreRefused) {
  const Desired desired{IntentId("one"), {testMacvlanPlan("net1", "10.30.0.", 7)}};
  for (const char* place : {"isolation.commit.before", "isolation.pod.before"}) {
    const Fd pod = netns::make().value();
    ASSERT_TRUE(failpoint::arm(std::string(place) + "=error"));
    const auto refused = host_->attach(desired, pod);
    ASSERT_FALSE(refused) << place;
    EXPECT_EQ(refused.error().code, Code::Unavailable) << place;
    ASSERT_TRUE(failpoint::arm(""));
    const auto scope = netns::Scope::enter(pod).value();
    EXPECT_EQ(::if_nametoindex("net1"), 0U) << place;
  }
  const Fd pod = netns::make().value();
  const auto attached = host_->attach(desired, pod);
  ASSERT_TRUE(attached) << attached.error().message;
}

/// Sends forged frames by `net1` of a namespace from the moment that there is such a link.
class Flood {
 public:
  explicit Flood(const Fd& netns)
      : frame_(ethernet(Bytes(6, 0xff), macOf("02:66:66:66:66:66"), 0x0800,
                        ipv4("10.66.66.66", "10.20.0.9", 17, udp(1, 2)))),
        thread_([this, inner = netns.duplicate().value()] { run(inner); }) {}
  ~Flood() {
    ends_ = true;
    thread_.join();
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  [[nodiscard]] const Bytes& frame() const { return frame_; }

 private:
  void run(const Fd& netns) {
    const auto scope = netns::Scope::enter(netns).value();
    const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    while (!ends_) {
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      to.sll_halen = 6;
      to.sll_ifindex = static_cast<int>(::if_nametoindex("net1"));
      if (to.sll_ifindex == 0) continue;
      static_cast<void>(::sendto(fd.get(), frame_.data(), frame_.size(), 0,
                                 reinterpret_cast<sockaddr*>(&to), sizeof to));
    }
  }
  const Bytes frame_;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

TEST_F(SecuredTest, NothingPassesBeforeTheRulesAreThere) {
  const unsigned attaches = std::getenv("MULTINET_EMULATED") == nullptr ? 200 : 20;
  const Fd receiver = netns::make().value();
  ASSERT_TRUE(host_->attach(desiredOf("receiver", 9), receiver));
  const Fd pod = netns::make().value();
  const Desired honest = desiredOf("honest", 7);
  const MacAddress mac = honest.interfaces[0].mac;
  const Bytes last = ethernet(Bytes(6, 0xff), mac, 0x0806, arp(1, mac, "10.20.0.7", "10.20.0.77"));
  auto flood = std::make_unique<Flood>(pod);
  Ears ears(receiver, "net1", flood->frame(), last);
  for (unsigned i = 0; i < attaches; ++i) {
    const Desired desired = desiredOf("flood-" + std::to_string(i), 7);
    const std::uint64_t before = guard_->drops()["source_mac"];
    ASSERT_TRUE(host_->attach(desired, pod)) << i;
    const auto limit = std::chrono::steady_clock::now() + seconds(20);
    while (guard_->drops()["source_mac"] == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << i;
    }
    ASSERT_TRUE(host_->detach(desired, pod)) << i;
  }
  flood.reset();
  ASSERT_TRUE(host_->attach(honest, pod));
  EXPECT_EQ(ears.countUntilLast(RawSocket(pod, "net1")), 0U);
  EXPECT_GE(guard_->drops()["source_mac"], attaches);
}

TEST_F(SecuredTest, TheSameFloodArrivesWhereNothingHoldsIt) {
  guard_->setNetworks({{NetworkUid(), api::PortSecurity::Disabled}}, {});
  const Fd receiver = netns::make().value();
  ASSERT_TRUE(host_->attach(desiredOf("receiver", 9), receiver));
  const RawSocket ears(receiver, "net1");
  const Fd pod = netns::make().value();
  const Flood flood(pod);
  ASSERT_TRUE(host_->attach(desiredOf("flood", 7), pod));
  for (Bytes heard = ears.next(); heard != flood.frame(); heard = ears.next()) {
    ASSERT_FALSE(heard.empty());
  }
}

}  // namespace
}  // namespace multinet::agent::attach
