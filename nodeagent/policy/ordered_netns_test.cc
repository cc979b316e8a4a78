// Policies of the cluster against the kernel, on bridges and in pods: somebody is kept from what
// everybody may, and whose address comes is kept from it at once.
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>

#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/pod_fixture.h"

namespace multinet::agent::policing {
namespace {

using policy::Packet;
using policy::Program;
using policy::testing::ip;

constexpr std::uint8_t kGre = 47;
constexpr std::uint16_t kSsh = 22;
const policy::Network kOpen{"blue", api::DefaultPolicy::Allow};

api::ClusterPodNetworkPolicy policyOf(const std::string& name, std::int32_t priority) {
  api::ClusterPodNetworkPolicy policy;
  policy.metadata.name = name;
  policy.spec.podNetworkNames = {"blue"};
  policy.spec.priority = priority;
  policy.spec.subject.pods.emplace().podSelector.matchLabels = {{"app", "db"}};
  return policy;
}

/// Pods with app: db get no TCP 22 of pods with app: guest.
api::ClusterPodNetworkPolicy noSshOfGuests() {
  auto policy = policyOf("guests", 1);
  auto& rule = policy.spec.ingress.emplace_back();
  rule.action = api::ClusterPolicyAction::Deny;
  rule.peers.emplace_back().pods.emplace().podSelector.matchLabels = {{"app", "guest"}};
  rule.protocols.emplace_back().tcp =
      api::ClusterPolicyTransport{api::ClusterPolicyPort{kSsh, std::nullopt}};
  return policy;
}

/// They get nothing of guests.
api::ClusterPodNetworkPolicy nothingOfGuests() {
  auto policy = noSshOfGuests();
  policy.spec.ingress.front().protocols.clear();
  return policy;
}

/// They send to one address and to nobody else.
api::ClusterPodNetworkPolicy toNobodyBut(const TestPod& pod) {
  auto policy = policyOf("out", 2);
  auto& some = policy.spec.egress.emplace_back();
  some.action = api::ClusterPolicyAction::Accept;
  some.peers.emplace_back().networks = {pod.v4() + "/32", pod.v6() + "/128"};
  auto& all = policy.spec.egress.emplace_back();
  all.action = api::ClusterPolicyAction::Deny;
  all.peers.emplace_back().networks = {"0.0.0.0/0", "::/0"};
  return policy;
}

/// One is db; two and three are nobody in particular until they are guests.
class Cast {
 public:
  Cast() {
    world.namespaces = {{"x", {}}};
    for (TestPod* pod : {&db, &two, &three}) label(*pod, pod == &db ? "db" : "other");
  }
  void label(const TestPod& pod, const std::string& app) {
    std::erase_if(world.pods, [&](const auto& one) { return one.key == pod.key(); });
    world.pods.push_back(policy::testing::pod(pod.key().nameSpace, pod.key().name, {{"app", app}},
                                              {ip(pod.v4()), ip(pod.v6())}));
  }
  [[nodiscard]] Program compiled() { return policy::compile(world, kOpen, numbers); }
  static Packet packet(const TestPod& from, const TestPod& to, bool isV6,
                       std::optional<api::Protocol> protocol, std::uint16_t port) {
    return {ip(isV6 ? from.v6() : from.v4()), ip(isV6 ? to.v6() : to.v4()), protocol, port};
  }

  TestPod db{1};
  TestPod two{2};
  TestPod three{3};
  policy::World world;
  policy::Numbers numbers;
};

class OrderedTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(failpoint::arm(""));
    if (!node_.guard().tracking()) GTEST_SKIP() << "the kernel tells no flows of bridges";
    for (TestPod* pod : all_) pod->plug(node_);
    for (TestPod* pod : all_) pod->announce();
  }
  [[nodiscard]] std::map<policy::PodKey, std::string> ports() const {
    std::map<policy::PodKey, std::string> out;
    for (const TestPod* pod : all_) out.emplace(pod->key(), pod->port());
    return out;
  }
  void commit(const Program& program) {
    const Status done = node_.guard().commit(kBlue, "br-blue", {program, ports()});
    ASSERT_TRUE(done) << done.error().message;
    held_ = program;
  }
  /// The way to it alone, as an agent goes it.
  void change(const Program& program) {
    const auto to = ports();
    const std::set<std::string> gateways;
    const policy::AddressChange since = changeOf(held_.addresses, program.addresses);
    const Status done = node_.guard().change(kBlue, "br-blue", {program, since, &to, &gateways});
    ASSERT_TRUE(done) << done.error().message;
    held_ = program;
  }
  bool passes(const TestPod& from, const TestPod& to, bool isV6,
              std::optional<api::Protocol> protocol, std::uint16_t port = 0) {
    const Packet packet = Cast::packet(from, to, isV6, protocol, port);
    return arrives(from, firstFrame(packet, from.mac(), to.mac()), to);
  }
  static bool passesAs(std::uint8_t protocol, const TestPod& from, const TestPod& to, bool isV6) {
    const Bytes inner(8, protocol);
    return arrives(from,
                   ethernet(to.mac(), from.mac(), isV6 ? kIpv6 : kIpv4,
                            isV6 ? ipv6(from.v6(), to.v6(), protocol, inner)
                                 : ipv4(from.v4(), to.v4(), protocol, inner)),
                   to);
  }

  TestNode node_{{"br-blue"}};
  Cast cast_;
  TestPod& db_ = cast_.db;
  TestPod& two_ = cast_.two;
  TestPod& guest_ = cast_.three;
  std::vector<TestPod*> all_ = {&db_, &two_, &guest_};
  Program held_;
};

TEST_F(OrderedTest, OfWhomOnePortIsDeniedAllElsePasses) {
  cast_.world.clusterPolicies = {noSshOfGuests()};
  cast_.label(guest_, "guest");
  commit(cast_.compiled());
  using api::Protocol;
  for (const bool isV6 : {false, true}) {
    EXPECT_FALSE(passes(guest_, db_, isV6, Protocol::TCP, kSsh));
    for (const unsigned port : {0U, kSsh - 1U, kSsh + 1U, 65535U}) {
      EXPECT_TRUE(passes(guest_, db_, isV6, Protocol::TCP, static_cast<std::uint16_t>(port)))
          << port;
    }
    EXPECT_TRUE(passes(guest_, db_, isV6, Protocol::UDP, kSsh));
    EXPECT_TRUE(passes(guest_, db_, isV6, Protocol::SCTP, kSsh));
    EXPECT_TRUE(passes(guest_, db_, isV6, std::nullopt)) << "ping";
    for (const std::uint8_t other : {std::uint8_t{4}, kGre, std::uint8_t{103}, std::uint8_t{253}}) {
      EXPECT_TRUE(passesAs(other, guest_, db_, isV6)) << int{other};
    }
    EXPECT_TRUE(passes(two_, db_, isV6, Protocol::TCP, kSsh));
    EXPECT_TRUE(passes(db_, guest_, isV6, Protocol::TCP, kSsh)) << "it may begin";
    EXPECT_TRUE(passes(guest_, two_, isV6, Protocol::TCP, kSsh)) << "nobody selects that one";
  }
}

TEST_F(OrderedTest, OfWhomAllIsDeniedNoProtocolPassesAndOthersDo) {
  cast_.world.clusterPolicies = {nothingOfGuests()};
  cast_.label(guest_, "guest");
  commit(cast_.compiled());
  for (const bool isV6 : {false, true}) {
    EXPECT_FALSE(passes(guest_, db_, isV6, api::Protocol::UDP, 7000));
    EXPECT_FALSE(passes(guest_, db_, isV6, std::nullopt));
    EXPECT_FALSE(passesAs(kGre, guest_, db_, isV6));
    EXPECT_TRUE(passes(two_, db_, isV6, api::Protocol::UDP, 7000));
    EXPECT_TRUE(passes(two_, db_, isV6, std::nullopt));
    EXPECT_TRUE(passesAs(kGre, two_, db_, isV6));
  }
}

TEST_F(OrderedTest, APodSendsToNobodyButWhoIsAcceptedBefore) {
  cast_.world.clusterPolicies = {toNobodyBut(two_)};
  commit(cast_.compiled());
  for (const bool isV6 : {false, true}) {
    EXPECT_TRUE(passes(db_, two_, isV6, api::Protocol::TCP, 80));
    EXPECT_TRUE(passesAs(kGre, db_, two_, isV6));
    EXPECT_FALSE(passes(db_, guest_, isV6, api::Protocol::TCP, 80));
    EXPECT_FALSE(passes(db_, guest_, isV6, std::nullopt));
    EXPECT_FALSE(passesAs(kGre, db_, guest_, isV6));
    EXPECT_TRUE(passes(guest_, db_, isV6, api::Protocol::TCP, 80));
  }
}

TEST_F(OrderedTest, WhoBecomesOneOfTheDeniedIsCutOffAtHisNextPacket) {
  for (const TestPod* pod : all_) pod->address();
  cast_.world.clusterPolicies = {nothingOfGuests()};
  for (const bool isWhole : {false, true}) {
    for (const bool isV6 : {false, true}) {
      cast_.label(guest_, "other");
      commit(cast_.compiled());
      UdpPair ended(guest_, db_, 7000, isV6);
      TcpPair connection(guest_, db_, 7000, isV6);
      UdpPair other(two_, db_, 7001, isV6);
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(ended.exchange());
        EXPECT_TRUE(connection.exchange());
        EXPECT_TRUE(other.exchange());
      }
      cast_.label(guest_, "guest");
      const Program program = cast_.compiled();
      isWhole ? commit(program) : change(program);
      for (int i = 0; i < 2; ++i) {
        EXPECT_FALSE(ended.arrives(End::Client));
        EXPECT_FALSE(ended.arrives(End::Server));
        EXPECT_FALSE(connection.arrives(End::Client));
        EXPECT_FALSE(connection.arrives(End::Server));
        EXPECT_TRUE(other.exchange());
      }
    }
  }
}

TEST_F(OrderedTest, ARestartWritesNothing) {
  cast_.world.clusterPolicies = {noSshOfGuests(), toNobodyBut(two_)};
  cast_.label(guest_, "guest");
  commit(cast_.compiled());
  ASSERT_TRUE(eventually([&] { return node_.elements()["current"].size() == 1; }));
  const auto before = node_.elements();
  EXPECT_TRUE(before.contains("ranges4") && before.contains("ranges6"));
  node_.start();
  // Its successor counts otherwise.
  policy::Numbers others;
  static_cast<void>(others.of("one"));
  std::swap(cast_.numbers, others);
  commit(cast_.compiled());
  EXPECT_EQ(node_.guard().commits(), 0U);
  EXPECT_EQ(node_.elements(), before);
  // And goes on from there.
  cast_.world.clusterPolicies = {nothingOfGuests()};
  change(cast_.compiled());
  EXPECT_FALSE(passes(guest_, db_, false, std::nullopt));
  EXPECT_TRUE(passes(two_, db_, false, std::nullopt));
}

/// What is denied by an order comes and goes under packets of whom it isn't about, and of whom it
/// always is.
TEST_F(OrderedTest, NoVerdictIsWrongAsPoliciesComeAndGo) {
  // Each probe is a flow of its own, more than a small machine grants a pod.
  node_.start({.mostFlows = 1U << 20U});
  cast_.label(guest_, "guest");
  const auto never = [&] {  // in each of them
    auto policy = noSshOfGuests();
    policy.metadata.name = "never";
    return policy;
  };
  cast_.world.clusterPolicies = {never()};
  const Program few = cast_.compiled();
  cast_.world.clusterPolicies = {never(), nothingOfGuests(), toNobodyBut(two_)};
  const Program many = cast_.compiled();
  api::PodNetworkPolicy plain;  // as NetworkPolicies are: nobody is kept from what all may
  plain.metadata.name = "plain";
  plain.metadata.nameSpace = "x";
  plain.spec.podNetworkNames = {"blue"};
  plain.spec.podSelector.matchLabels = {{"app", "db"}};
  auto& rule = plain.spec.ingress.emplace_back();
  rule.peers.emplace_back().podSelector = k8s::LabelSelector{{{"app", "other"}}, {}};
  cast_.world.clusterPolicies.clear();
  cast_.world.policies = {plain};
  const Program unordered = cast_.compiled();
  ASSERT_TRUE(few.ordered && many.ordered && !unordered.ordered);
  commit(few);
  std::atomic<bool> ends{false};
  std::atomic<unsigned> updates{0};
  std::thread updater([&] {
    constexpr unsigned kUpdates = 600;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (unsigned i = 0; i < kUpdates && std::chrono::steady_clock::now() < limit; ++i) {
      const std::array all{&many, &unordered, &few};
      EXPECT_TRUE(node_.guard().commit(kBlue, "br-blue", {*all.at(i % all.size()), ports()}));
      ++updates;
    }
    ends = true;
  });
  // On one processor what is sent first comes first.
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  unsigned probes = 0;
  unsigned lost = 0;
  unsigned passed = 0;
  while (!ends) {
    const bool isV6 = ++probes % 2 == 0;
    lost += passes(two_, db_, isV6, api::Protocol::UDP, 7000) ? 0U : 1U;
    passed += passes(guest_, db_, isV6, api::Protocol::TCP, kSsh) ? 1U : 0U;
  }
  updater.join();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(lost, 0U) << "of " << probes << " in " << updates << " updates";
  EXPECT_EQ(passed, 0U) << "of " << probes << " in " << updates << " updates";
  EXPECT_GT(updates, 20U);
  EXPECT_GT(probes, 50U);
}

/// The same where each pod has its own rules.
class OrderedInPodTest : public testing::Test {
 protected:
  void attachAll() {
    for (TestPod* pod : all_) node_.attach(*pod);
  }
  [[nodiscard]] Program commit(const policy::AddressChange* since = nullptr) {
    std::map<policy::PodKey, attach::PodPort> ports;
    for (const TestPod* pod : all_) ports.emplace(pod->key(), ParentNode::portOf(*pod));
    Program program = cast_.compiled();
    const auto refused = node_.guards().commit(kBlue, program, since, {ports});
    EXPECT_TRUE(refused.empty());
    return program;
  }

  ParentNode node_;
  Cast cast_;
  TestPod& db_ = cast_.db;
  TestPod& two_ = cast_.two;
  TestPod& guest_ = cast_.three;
  std::vector<TestPod*> all_ = {&db_, &two_, &guest_};
};

TEST_F(OrderedInPodTest, OfWhomAllIsDeniedHasNothingOfWhatTheRangeThatHeIsInMay) {
  cast_.world.clusterPolicies = {nothingOfGuests()};
  cast_.label(guest_, "guest");
  static_cast<void>(commit());
  attachAll();
  for (const bool isV6 : {false, true}) {
    EXPECT_FALSE(UdpPair(guest_, db_, 7000, isV6).arrives(End::Client));
    EXPECT_TRUE(UdpPair(two_, db_, 7000, isV6).exchange());
    EXPECT_TRUE(UdpPair(db_, guest_, 7001, isV6).exchange());
  }
}

TEST_F(OrderedInPodTest, OfWhomOnePortIsDeniedPingPasses) {
  cast_.world.clusterPolicies = {noSshOfGuests(), toNobodyBut(two_)};
  cast_.label(guest_, "guest");
  static_cast<void>(commit());
  attachAll();
  const RoutedSocket sender(guest_);
  const RoutedSocket receiver(db_);
  const auto passes = [&](std::optional<api::Protocol> protocol, std::uint16_t port) {
    const Packet packet = Cast::packet(guest_, db_, false, protocol, port);
    const Bytes frame = firstFrame(packet, guest_.mac(), db_.mac());
    constexpr std::ptrdiff_t kEthernet = 14;
    constexpr std::ptrdiff_t kIp = 34;
    for (int i = 0; i < 20; ++i) {
      static_cast<void>(sender.send(packet, Bytes(frame.begin() + kEthernet, frame.end())));
      if (receiver.heard(Bytes(frame.begin() + kIp, frame.end()))) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  EXPECT_TRUE(passes(std::nullopt, 0));
  EXPECT_TRUE(passes(api::Protocol::TCP, kSsh + 1));
  EXPECT_FALSE(passes(api::Protocol::TCP, kSsh));
  for (const bool isV6 : {false, true}) {
    EXPECT_TRUE(UdpPair(db_, two_, 7001, isV6).exchange());
    EXPECT_FALSE(UdpPair(db_, guest_, 7001, isV6).arrives(End::Client));
  }
}

TEST_F(OrderedInPodTest, WhoBecomesOneOfTheDeniedIsCutOffAndARestartWritesNothing) {
  cast_.world.clusterPolicies = {nothingOfGuests()};
  Program before = commit();
  attachAll();
  for (const bool isV6 : {false, true}) {
    cast_.label(guest_, "other");
    before = commit();
    UdpPair ended(guest_, db_, 7000, isV6);
    TcpPair connection(guest_, db_, 7000, isV6);
    UdpPair other(two_, db_, 7001, isV6);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(ended.exchange());
      EXPECT_TRUE(connection.exchange());
      EXPECT_TRUE(other.exchange());
    }
    cast_.label(guest_, "guest");
    const policy::AddressChange since = changeOf(before.addresses, cast_.compiled().addresses);
    before = commit(&since);
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(ended.arrives(End::Client));
      EXPECT_FALSE(ended.arrives(End::Server));
      EXPECT_FALSE(connection.arrives(End::Client));
      EXPECT_TRUE(other.exchange());
    }
    ASSERT_TRUE(eventually([&] { return ParentNode::elements(db_).at("current").size() == 1; }));
    const auto there = ParentNode::elements(db_);
    node_.start();
    static_cast<void>(commit());
    EXPECT_EQ(node_.guards().commits(), 0U);
    EXPECT_EQ(ParentNode::elements(db_), there);
  }
}

}  // namespace
}  // namespace multinet::agent::policing
