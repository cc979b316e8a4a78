#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <set>
#include <thread>

#include "lib/base/fake_clock.h"
#include "nodeagent/networks/fake_networks.h"
#include "nodeagent/resolve/resolver.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::resolve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

api::PodNetwork blue() {
  api::PodNetwork network;
  network.metadata.name = "blue";
  network.metadata.uid = "uid-blue";
  network.metadata.generation = 1;
  network.spec.type = api::NetworkType::Macvlan;
  network.spec.macvlan = api::MacvlanSpec{"eth1", api::MacvlanMode::Vepa};
  api::Subnet v4;
  v4.cidr = "10.20.0.0/16";
  v4.gateway = "10.20.0.1";
  v4.exclude = {"10.20.0.0/28"};
  v4.blockSize = 26;
  api::Subnet second;
  second.cidr = "10.30.0.0/16";
  network.spec.ipam.subnets = {v4, second};
  network.spec.routes = {{"192.168.0.0/16", "10.20.0.1"}};
  network.spec.access.namespaces.from = api::AccessFrom::All;
  network.status.conditions.set({"Ready", k8s::ConditionStatus::True, 1, {}, "Ready", ""},
                                WallTime{});
  return network;
}

networks::Snapshot onNode() {
  networks::Snapshot snapshot;
  networks::NetworkState state;
  state.name = NetworkName("blue");
  state.uid = NetworkUid("uid-blue");
  state.type = api::NetworkType::Macvlan;
  state.link = drivers::macvlan::Link{"eth1", api::MacvlanMode::Vepa};
  state.mtu = 1400;
  snapshot.networks.push_back(state);
  return snapshot;
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    caches_.content.networks["blue"] = blue();
    caches_.content.namespaces["default"] = {};
    networks_.publish(onNode());
    request_.pod = {PodUid("uid"), "default", "web-0", 0};
    request_.annotations["multinet.dev/networks"] = "blue";
  }
  using Outcome = Result<std::vector<WantedInterface>>;
  NetworksNow onNodeNow() {
    return [this] { return networks_.snapshot(); };
  }
  /// Within so much of the clock's time; the lane does meanwhile what falls due.
  bool isAnswered(async::Lane& lane, const std::future<Outcome>& answer, Duration time) {
    for (Duration past{}; past < time; past += milliseconds(10)) {
      clock_.advance(milliseconds(10));
      std::promise<void> done;
      lane.post([&done] { done.set_value(); });
      done.get_future().wait();
    }
    return answer.wait_for(seconds(0)) == std::future_status::ready;
  }
  std::future<Outcome> begin(Resolver& resolver, Duration wait) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto answer = promise->get_future();
    resolver.resolve(request_, clock_.now() + wait,
                     [promise](Outcome result) { promise->set_value(std::move(result)); });
    return answer;
  }
  Outcome resolve(Duration wait = seconds(4)) {
    async::Lane lane("sandbox", clock_);
    Resolver resolver(lane, caches_, onNodeNow(), clock_, clusterPrefixes_);
    auto answer = begin(resolver, wait);
    while (answer.wait_for(std::chrono::microseconds(200)) != std::future_status::ready) {
      clock_.advance(milliseconds(10));
    }
    lane.stop();
    return answer.get();
  }

  FakeClock clock_;
  watch::FakeCaches caches_;
  networks::FakeNetworks networks_;
  PodRequest request_;
  std::vector<IpPrefix> clusterPrefixes_;
};

TEST_F(ResolverTest, RefusesWhileTheNodesNameIsAnothersAndWaitsWhileThatIsUnclear) {
  async::Lane lane("sandbox", clock_);
  Status standing = fail(Code::FailedPrecondition, "NodeNameTaken", "another's");
  Resolver resolver(
      lane, caches_, onNodeNow(), clock_, {}, [](const NetworkUid&) {},
      [&standing] { return standing; });
  EXPECT_EQ(resolver.ready().error().reason, "NodeNameTaken");
  auto refused = begin(resolver, seconds(4));
  EXPECT_EQ(refused.get().error().reason, "NodeNameTaken") << "at once";
  lane.post([&] { standing = fail(Code::Unavailable, "NodeNameUnclear", "asked"); });
  auto waits = begin(resolver, seconds(4));
  EXPECT_FALSE(isAnswered(lane, waits, seconds(1)));
  lane.post([&] { standing = {}; });
  EXPECT_TRUE(isAnswered(lane, waits, seconds(1)));
  EXPECT_TRUE(waits.get().has_value());
  lane.stop();
}

class DefaultGatewayTest : public ResolverTest {
 protected:
  DefaultGatewayTest() {
    api::PodNetwork& network = caches_.content.networks["blue"];
    network.spec.allow.defaultGateway = true;
    network.spec.ipam.subnets.push_back({"fd00:20::/64", "fd00:20::1", {}, {}});
    api::PodNetworkAttachment attachment;
    attachment.metadata.name = "out";
    attachment.metadata.nameSpace = "default";
    attachment.spec.podNetworkName = "blue";
    attachment.spec.defaultGateway = api::DefaultGateway::Dual;
    caches_.content.attachments[{"default", "out"}] = attachment;
    request_.annotations["multinet.dev/networks"] = "attachment/out";
    caches_.services = {prefix("10.96.0.0/12"), prefix("fd00:96::/108")};
    clusterPrefixes_ = {prefix("10.244.0.0/16"), prefix("fd00:244::/56")};
  }
  static IpPrefix prefix(const char* text) { return IpPrefix::parse(text).value(); }
};

TEST_F(ResolverTest, TellsOfANetworkThatTheNodeHasNotJoinedAndWaitsForIt) {
  networks::Snapshot idle = onNode();
  idle.networks[0].joined = false;
  idle.networks[0].ready = networks::CheckStatus::True;
  idle.networks[0].link.reset();
  networks_.publish(idle);
  async::Lane lane("sandbox", clock_);
  std::set<NetworkUid> wanted;
  Resolver resolver(lane, caches_, onNodeNow(), clock_, {}, [&](const NetworkUid& network) {
    wanted.insert(network);
    networks_.publish(onNode());  // the node makes it
  });
  auto answer = begin(resolver, seconds(4));
  EXPECT_TRUE(isAnswered(lane, answer, seconds(1)));
  lane.stop();
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(wanted, std::set<NetworkUid>{NetworkUid("uid-blue")});
}

// An attachment of a namespace that isn't followed yet isn't one that doesn't exist.
TEST_F(DefaultGatewayTest, WaitsForTheAttachmentsOfItsNamespaceAlone) {
  const auto known = std::exchange(caches_.content.attachments, {});
  caches_.attachmentsError = Error{Code::Unavailable, "CachesNotReady", "attachments of default"};
  async::Lane lane("sandbox", clock_);
  Resolver resolver(lane, caches_, onNodeNow(), clock_, clusterPrefixes_);
  auto answer = begin(resolver, seconds(4));
  EXPECT_FALSE(isAnswered(lane, answer, milliseconds(200)));
  ASSERT_TRUE(lane.post([&] {
    caches_.content.attachments = known;
    caches_.attachmentsError.reset();
  }));
  ASSERT_TRUE(isAnswered(lane, answer, seconds(1)));
  EXPECT_TRUE(answer.get().has_value());
  lane.stop();
  EXPECT_EQ(std::set(caches_.attachmentsNeeded.begin(), caches_.attachmentsNeeded.end()),
            std::set<std::string>{"default"});
}

TEST_F(DefaultGatewayTest, SaysThatTheAttachmentsArentKnown) {
  caches_.attachmentsError = Error{Code::Unavailable, "CachesNotReady", "attachments of default"};
  const auto resolved = resolve(milliseconds(500));
  ASSERT_FALSE(resolved.has_value());
  EXPECT_EQ(resolved.error().code, Code::Unavailable);
  EXPECT_EQ(resolved.error().reason, "CachesNotReady");
}

TEST_F(ResolverTest, NeedsNoAttachmentsWhereNoneIsAskedFor) {
  ASSERT_TRUE(resolve().has_value());
  EXPECT_TRUE(caches_.attachmentsNeeded.empty());
}

TEST_F(DefaultGatewayTest, TheClustersOwnWaysStayOnEth0) {
  const auto resolved = resolve();
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  EXPECT_TRUE(resolved->at(0).plan.defaultGatewayV4);
  EXPECT_EQ(resolved->at(0).plan.clusterPrefixes,
            (std::vector<IpPrefix>{prefix("10.96.0.0/12"), prefix("10.244.0.0/16"),
                                   prefix("fd00:96::/108"), prefix("fd00:244::/56")}));
  request_.annotations["multinet.dev/networks"] = "blue";
  EXPECT_TRUE(resolve()->at(0).plan.clusterPrefixes.empty()) << "no default route moves";
}

TEST_F(DefaultGatewayTest, IsRefusedWhereTheRangesOfPodsAreNotKnown) {
  clusterPrefixes_ = {prefix("10.244.0.0/16")};
  const auto refused = resolve();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "ClusterPrefixesUnknown");
  EXPECT_EQ(refused.error().message,
            "interface net1: defaultGateway: this node's agent isn't told the IPv6 ranges of pods "
            "and nodes, which must stay on eth0; start it with --cluster-prefix");
  caches_.services = {prefix("10.96.0.0/12")};
  EXPECT_TRUE(resolve().has_value()) << "a cluster of IPv4 alone has nothing of IPv6 to keep";
}

TEST_F(DefaultGatewayTest, WaitsForTheRangesOfServices) {
  caches_.services =
      fail(Code::Unavailable, "CachesNotReady", "read ServiceCIDRs: not answered yet");
  const auto late = resolve();
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().reason, "CachesNotReady");
}

TEST_F(DefaultGatewayTest, ARangeThatComesLaterIsKnownToWhoAsksAgain) {
  async::Lane lane("sandbox", clock_);
  const Resolver resolver(lane, caches_, onNodeNow(), clock_, clusterPrefixes_);
  const InterfacePlan plan = resolve()->at(0).plan;
  EXPECT_EQ(resolver.staysOnEth0(plan), plan.clusterPrefixes);
  caches_.services->push_back(prefix("10.93.0.0/24"));
  const auto later = resolver.staysOnEth0(plan);
  EXPECT_EQ(std::count(later.begin(), later.end(), prefix("10.93.0.0/24")), 1);
  caches_.services = fail(Code::Unavailable, "CachesNotReady", "not answered yet");
  EXPECT_TRUE(resolver.staysOnEth0(plan).empty());
}

TEST_F(DefaultGatewayTest, ASubnetThatWouldHideTheClustersRangesIsRefused) {
  request_.annotations["multinet.dev/networks"] = "blue";
  const auto refusal = [this](const char* cidr) {
    auto& spec = caches_.content.networks["blue"].spec;
    spec.routes.clear();
    spec.ipam.subnets = {{cidr, "", {}, {}}};
    const auto resolved = resolve();
    return resolved ? Error{Code::Ok, "", ""} : resolved.error();
  };
  EXPECT_EQ(refusal("10.96.0.0/24").reason, "RangeInUse");
  EXPECT_EQ(refusal("10.0.0.0/8").reason, "RangeInUse") << "also where it is the wider one";
  EXPECT_EQ(refusal("10.244.3.0/24").message,
            "interface net1: subnet 10.244.3.0/24 of network \"blue\" overlaps 10.244.0.0/16, "
            "which is a range of pods or nodes (--cluster-prefix of this node): the pod would lose "
            "its way there; give the network another subnet");
  EXPECT_EQ(refusal("10.20.0.0/16").reason, "");
}

TEST_F(ResolverTest, SaysAllThatAnInterfaceShallBe) {
  const auto resolved = resolve();
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  ASSERT_EQ(resolved->size(), 1U);
  const WantedInterface& wanted = resolved->at(0);
  EXPECT_EQ(wanted.plan.name.str(), "net1");
  EXPECT_EQ(wanted.plan.networkUid.str(), "uid-blue");
  EXPECT_EQ(wanted.plan.link, Link(drivers::macvlan::Link{"eth1", api::MacvlanMode::Vepa}));
  EXPECT_EQ(wanted.plan.mtu, 1400U);
  ASSERT_EQ(wanted.plan.routes.size(), 1U);
  ASSERT_EQ(wanted.subnets.size(), 2U);
  EXPECT_EQ(wanted.subnets[0].gateway, IpAddress::parse("10.20.0.1").value());
  EXPECT_EQ(wanted.subnets[0].blockSize, 26U);
  EXPECT_EQ(wanted.subnets[0].exclude.size(), 1U);
}

TEST_F(ResolverTest, CompletingAddsTheOtherSubnetsOnLink) {
  const auto resolved = resolve();
  ASSERT_TRUE(resolved.has_value());
  const AddressPlan address{InterfaceAddress::parse("10.20.0.17/16").value(), std::nullopt};
  const InterfacePlan plan = complete(resolved->at(0), {address}, MacAddress::derive("x"));
  EXPECT_EQ(plan.addresses, std::vector<AddressPlan>{address});
  ASSERT_EQ(plan.routes.size(), 2U);
  EXPECT_EQ(plan.routes[1].to.str(), "10.30.0.0/16");
  EXPECT_FALSE(plan.routes[1].via.has_value());
}

TEST_F(ResolverTest, RefusesByTheRulesOfTheApi) {
  request_.annotations["multinet.dev/networks"] = "red";
  EXPECT_NE(resolve().error().message.find("red"), std::string::npos);
  request_.annotations["multinet.dev/networks"] = "blue,";
  EXPECT_FALSE(resolve().has_value());
  request_.annotations["multinet.dev/networks"] = "blue";
  request_.hostNetwork = true;
  EXPECT_FALSE(resolve().has_value());
}

TEST_F(ResolverTest, RefusesANamespaceWithoutAGrant) {
  caches_.content.networks["blue"].spec.access.namespaces.from = api::AccessFrom::None;
  const auto refused = resolve();
  ASSERT_FALSE(refused.has_value());
  EXPECT_FALSE(refused.error().reason.empty());
}

TEST_F(ResolverTest, RefusesAStaticPod) {
  request_.annotations["kubernetes.io/config.source"] = "file";
  EXPECT_EQ(resolve().error().reason, "StaticPod");
  request_.annotations["kubernetes.io/config.source"] = "api";
  EXPECT_TRUE(resolve().has_value());
}

TEST_F(ResolverTest, CachesThatAreNotThereAreUnavailableInTime) {
  caches_.error = Error{Code::Unavailable, "CachesNotReady", "read PodNetworks: not answered yet"};
  EXPECT_EQ(resolve().error().reason, "CachesNotReady");
}

TEST_F(ResolverTest, WaitsForTheNodesSideOfTheNetwork) {
  networks_.publish({});
  async::Lane lane("sandbox", clock_);
  Resolver resolver(lane, caches_, onNodeNow(), clock_, {});
  auto pending = begin(resolver, seconds(4));
  EXPECT_FALSE(isAnswered(lane, pending, milliseconds(150)));
  networks_.publish(onNode());
  EXPECT_TRUE(isAnswered(lane, pending, seconds(1)));
  lane.stop();
  EXPECT_TRUE(pending.get().has_value());
}

TEST_F(ResolverTest, SaysWhatTheNodeLacksWhenItTakesTooLong) {
  networks_.publish({});
  const auto late = resolve();
  EXPECT_EQ(late.error().reason, "NetworkNotOnNode");
  EXPECT_EQ(late.error().code, Code::Unavailable);
}

TEST_F(ResolverTest, IsReadyOnceTheClusterIsKnown) {
  async::Lane lane("sandbox", clock_);
  const Resolver resolver(lane, caches_, onNodeNow(), clock_, {});
  EXPECT_TRUE(resolver.ready().has_value());
  caches_.error = Error{Code::Unavailable, "NotConnected", "no kubeconfig"};
  EXPECT_EQ(resolver.ready().error().reason, "NotConnected");
}

// A network that was deleted and made again under its name is another network.
class AdmittedTest : public ResolverTest {
 protected:
  AdmittedTest() {
    api::PodNetworkAttachment nas;
    nas.metadata.name = "nas";
    nas.metadata.nameSpace = "default";
    nas.metadata.uid = "uid-nas";
    nas.spec.podNetworkName = "blue";
    caches_.content.attachments[{"default", "nas"}] = nas;
  }
  void admitted(const std::string& text) { request_.annotations["multinet.dev/resolved"] = text; }
  std::string reason() {
    const auto resolved = resolve();
    return resolved ? "" : resolved.error().reason;
  }
};

TEST_F(AdmittedTest, GetsWhatItWasAdmittedTo) {
  admitted("net1=blue@uid-blue");
  EXPECT_EQ(reason(), "");
  request_.annotations["multinet.dev/networks"] = "attachment/nas";
  admitted("net1=attachment/nas@uid-nas:blue@uid-blue");
  EXPECT_EQ(reason(), "");
  // The attachment's interfaceName was changed since: the same objects all the same.
  admitted("san0=attachment/nas@uid-nas:blue@uid-blue");
  EXPECT_EQ(reason(), "");
}

TEST_F(AdmittedTest, NeverGetsANetworkMadeAgainUnderTheName) {
  admitted("net1=blue@uid-of-before");
  const auto refused = resolve();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_EQ(refused.error().reason, "NetworkReplaced");
  EXPECT_EQ(refused.error().message,
            "interface net1: network \"blue\" was deleted and made again under its name: the pod "
            "was given the one with UID uid-of-before, the name is that of UID uid-blue now; "
            "delete the pod and create it again");
  request_.annotations["multinet.dev/networks"] = "attachment/nas";
  admitted("net1=attachment/nas@uid-nas:blue@uid-of-before");
  EXPECT_EQ(reason(), "NetworkReplaced");
  admitted("net1=attachment/nas@uid-nas:red@uid-blue");
  EXPECT_EQ(reason(), "NetworkReplaced");
  admitted("net1=attachment/nas@uid-of-before:blue@uid-blue");
  EXPECT_EQ(reason(), "AttachmentReplaced");
}

TEST_F(AdmittedTest, WaitsAMomentForACacheThatIsBehind) {
  admitted("net1=blue@uid-new");
  async::Lane lane("sandbox", clock_);
  Resolver resolver(lane, caches_, onNodeNow(), clock_, {});
  int looks = 0;
  caches_.onNeed = [&] {
    if (++looks < 3) return;
    caches_.content.networks["blue"].metadata.uid = "uid-new";
    networks::Snapshot snapshot = onNode();
    snapshot.networks[0].uid = NetworkUid("uid-new");
    networks_.publish(snapshot);
  };
  auto answer = begin(resolver, seconds(60));
  EXPECT_TRUE(isAnswered(lane, answer, seconds(1)));
  lane.stop();
  const auto resolved = answer.get();
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  EXPECT_EQ(resolved->at(0).plan.networkUid.str(), "uid-new");
}

TEST_F(AdmittedTest, AnEarlierSandboxsNetworkCountsWhereAdmissionWroteNothing) {
  EXPECT_EQ(reason(), "") << "the webhook was not there: by name";
  InterfacePlan earlier;
  earlier.network = NetworkName("blue");
  earlier.networkUid = NetworkUid("uid-blue");
  request_.earlier = {earlier};
  EXPECT_EQ(reason(), "");
  request_.earlier[0].networkUid = NetworkUid("uid-of-before");
  EXPECT_EQ(reason(), "NetworkReplaced");
  request_.earlier[0].attachment = "nas";
  EXPECT_EQ(reason(), "") << "another interface's";
}

// A verdict stops new pods; what a pod was on it gets again.
class HadTest : public AdmittedTest {
 protected:
  using Flip = std::function<void(api::PodNetwork&)>;
  static std::vector<Flip> verdicts() {
    const auto notReady = [](api::PodNetwork& network) {
      network.status.conditions.set(
          {"Ready", k8s::ConditionStatus::False, 1, {}, "Conflict", "red has its VNI"}, WallTime{});
    };
    return {notReady, [](api::PodNetwork& network) { network.spec.enabled = false; },
            [](api::PodNetwork& network) { network.metadata.deletionTimestamp = WallTime{}; },
            [](api::PodNetwork& network) { network.spec.access.namespaces = {}; },
            [](api::PodNetwork& network) { network.metadata.generation = 2; }};
  }
  void showPod(const std::string& phase) {
    auto pod = std::make_shared<k8s::Pod>();
    pod->metadata.uid = request_.pod.uid.str();
    pod->metadata.annotations = {request_.annotations.begin(), request_.annotations.end()};
    pod->status.phase = phase;
    caches_.podList = {pod};
  }
};

TEST_F(HadTest, APodThatWasOnTheNetworkGetsItAgainWhateverItsVerdict) {
  admitted("net1=blue@uid-blue");
  const auto given = resolve();
  ASSERT_TRUE(given.has_value());
  for (const Flip& flip : verdicts()) {
    caches_.content.networks["blue"] = blue();
    flip(caches_.content.networks["blue"]);
    showPod("Pending");
    EXPECT_NE(reason(), "") << "a new pod";
    showPod("Running");
    const auto again = resolve();
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->at(0).plan, given->at(0).plan);
    caches_.podList.clear();
    request_.earlier = {given->at(0).plan};
    EXPECT_EQ(reason(), "") << "by the journal";
    request_.earlier.clear();
  }
}

TEST_F(HadTest, AnAttachmentThatIsBeingDeletedToo) {
  request_.annotations["multinet.dev/networks"] = "attachment/nas";
  admitted("net1=attachment/nas@uid-nas:blue@uid-blue");
  caches_.content.attachments[{"default", "nas"}].metadata.deletionTimestamp = WallTime{};
  EXPECT_NE(reason(), "");
  showPod("Running");
  EXPECT_EQ(reason(), "");
}

TEST_F(HadTest, NothingElseIsOpenedByIt) {
  caches_.content.networks["blue"].spec.enabled = false;
  admitted("net1=blue@uid-of-before");
  showPod("Running");
  EXPECT_EQ(reason(), "NetworkDisabled") << "it was on another network of that name";
  admitted("net1=blue@uid-blue");
  showPod("Running");
  std::const_pointer_cast<k8s::Pod>(caches_.podList[0])->metadata.uid = "another";
  EXPECT_EQ(reason(), "NetworkDisabled") << "another pod of that name";
}

// Whatever stands there, a pod gets what its request gives, or nothing.
TEST_F(AdmittedTest, WhatIsForgedOrGarbledNeverGivesMore) {
  caches_.content.networks["red"] = blue();
  caches_.content.networks["red"].metadata.name = "red";
  caches_.content.networks["red"].metadata.uid = "uid-red";
  caches_.content.networks["red"].spec.access.namespaces.from = api::AccessFrom::None;
  const auto given = resolve();
  ASSERT_TRUE(given.has_value());
  for (const char* text :
       {"", ",", "net1", "net1=", "net1=blue", "net1=blue@", "net1=red@uid-red",
        "net1=red@uid-red,net2=blue@uid-blue", "net1=blue@uid-blue,net2=red@uid-red",
        "eth0=blue@uid-blue", "net1=attachment/blue@uid-blue:red@uid-red", "\xff\xfe", "{}"}) {
    admitted(text);
    const auto resolved = resolve();
    if (!resolved.has_value()) {
      EXPECT_TRUE(resolved.error().reason == "NotAdmitted" ||
                  resolved.error().reason == "NetworkReplaced")
          << text << ": " << resolved.error().message;
      continue;
    }
    ASSERT_EQ(resolved->size(), 1U) << text;
    EXPECT_EQ(resolved->at(0).plan, given->at(0).plan) << text;
  }
  request_.annotations["multinet.dev/networks"] = "red";
  admitted("net1=red@uid-red");
  EXPECT_NE(reason(), "") << "admission's word opens no network";
}

}  // namespace
}  // namespace multinet::agent::resolve
