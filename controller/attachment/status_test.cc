#include "controller/attachment/status.h"

#include "controller/plan/cluster_fixture.h"

namespace multinet::controller {
namespace {

using State = k8s::ConditionStatus;
using testing::Cluster;
using testing::nodeOf;
using testing::podOf;
using testing::setOf;

/// An attachment `nas` of namespace default to the network `storage`, which is Ready.
struct Nas : Cluster {
  api::PodNetwork network = api::testing::goodNetwork("storage");
  api::PodNetworkAttachment attachment = api::testing::goodAttachment("nas", "storage");

  Nas() {
    put(nodeOf("node-a"));
    put(network);
    put(attachment);
    home({{"team", "a"}});
  }
  void home(const k8s::StringMap& labels) {
    k8s::Namespace home;
    home.metadata.name = "default";
    home.metadata.labels = labels;
    put(home);
  }
  api::PodNetworkAttachmentStatus status() const {
    const auto* found = world.find<Attachment>(k8s::ObjectKey{"default", "nas"});
    return wishFor(observe(world, *found), now).status;
  }
  k8s::Condition ready() const { return *status().conditions.find("Ready"); }
  void networkReady(State state, const std::string& reason, const std::string& message) {
    network.status.conditions.items = {{"Ready", state, 1, std::nullopt, reason, message}};
    put(network);
  }
};

TEST(Attachment, IsAcceptedWhereItsNetworkIs) {
  EXPECT_EQ(Nas().ready().status, State::True);
}

TEST(Attachment, SaysWhichNetworkIsMissing) {
  Nas nas;
  nas.remove<api::PodNetwork>("storage");
  EXPECT_EQ(nas.ready().status, State::False);
  EXPECT_EQ(nas.ready().reason, "NetworkNotFound");
  EXPECT_NE(nas.ready().message.find("\"storage\""), std::string::npos);
}

TEST(Attachment, IsGrantedByTheNamespacesLabels) {
  Nas nas;
  nas.network.spec.access.namespaces = {
      api::AccessFrom::Selector,
      k8s::LabelSelector{{{"team", "a"}}, {{"env", k8s::SelectorOperator::NotIn, {"dev"}}}}};
  nas.put(nas.network);
  EXPECT_EQ(nas.ready().reason, "Accepted");
  nas.home({{"team", "a"}, {"env", "prod"}});
  EXPECT_EQ(nas.ready().reason, "Accepted");
  nas.home({{"team", "a"}, {"env", "dev"}});
  EXPECT_EQ(nas.ready().reason, "NotGranted");
  nas.home({{"env", "prod"}});
  EXPECT_EQ(nas.ready().reason, "NotGranted");
  nas.remove<k8s::Namespace>("default");
  EXPECT_EQ(nas.ready().reason, "NotGranted");
  nas.network.spec.access.namespaces = {api::AccessFrom::None, {}};
  nas.put(nas.network);
  EXPECT_EQ(nas.ready().reason, "NotGranted");
}

TEST(Attachment, PassesOnWhyTheNetworkIsNotReady) {
  Nas nas;
  nas.networkReady(State::False, "Conflict", "VNI 7 is red's.");
  EXPECT_EQ(nas.ready().reason, "NetworkNotReady");
  EXPECT_NE(nas.ready().message.find("Conflict: VNI 7 is red's."), std::string::npos);
  nas.network.status = {};
  nas.put(nas.network);
  EXPECT_EQ(nas.ready().reason, "NetworkNotReady") << "nobody has judged it yet";
}

TEST(Attachment, NamesItsOwnViolations) {
  Nas nas;
  nas.attachment.spec.mtu = 1500;
  nas.put(nas.attachment);
  EXPECT_EQ(nas.ready().reason, "Invalid");
  EXPECT_NE(nas.ready().message.find("spec.mtu"), std::string::npos);
  nas.attachment.spec.interfaceName = "lo";
  nas.put(nas.attachment);
  EXPECT_NE(nas.ready().message.find(" (and 1 more)"), std::string::npos);
  nas.attachment.spec = {"storage", {}, "", {}, {}, api::DefaultGateway::IPv4};
  nas.network.spec.allow.defaultGateway = false;
  nas.put(nas.network);
  nas.put(nas.attachment);
  EXPECT_EQ(nas.ready().reason, "Invalid") << "it asks for what isn't in spec.allow";
  nas.putJson<api::PodNetworkAttachment>(R"({"metadata": {"namespace": "default", "name": "nas",
    "uid": "u"}, "spec": {"podNetworkName": "storage", "mtu": "much"}})");
  EXPECT_EQ(nas.ready().reason, "Invalid") << "it can't be read";
}

TEST(Attachment, SaysThatItChoosesNobodyWhereTheNamespaceLacksTheLabel) {
  Nas nas;
  nas.attachment.spec.podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
  nas.put(nas.attachment);
  EXPECT_EQ(nas.ready().reason, "Invalid");
  EXPECT_NE(nas.ready().message.find("lacks the label multinet.dev/select=enabled"),
            std::string::npos);
  nas.home({{"multinet.dev/select", "enabled"}});
  EXPECT_EQ(nas.ready().reason, "Accepted");
  nas.home({});
  EXPECT_EQ(nas.ready().reason, "Invalid");
}

TEST(Attachment, CountsPodsOnceHoweverManyInterfaces) {
  Nas nas;
  for (const std::string name : {"p", "q"}) nas.put(podOf(name, "attachment/nas, storage"));
  nas.put(setOf(podOf("p", ""), {"storage/nas", "storage/nas"}));
  nas.put(setOf(podOf("q", ""), {"storage"}));
  EXPECT_EQ(nas.status().attachedPods, 1);
  nas.remove<k8s::Pod>("p", "default");
  EXPECT_EQ(nas.status().attachedPods, 0);
}

TEST(Attachment, CountsOnceAMinuteIn5000NodesAndSaysItsVerdictAtOnce) {
  Nas nas;
  for (int i = 0; i < 5000; ++i) nas.put(nodeOf("more-" + std::to_string(i)));
  const auto reconciler = attachmentReconciler();
  const auto writes = [&] {
    int done = 0;
    for (const auto& write : nas.ask(reconciler, "nas", "default").writes) {
      EXPECT_TRUE(nas.apply(write));
      ++done;
    }
    return done;
  };
  const auto status = [&] { return nas.get<api::PodNetworkAttachment>("nas", "default").status; };
  EXPECT_EQ(writes(), 1);
  int told = 0;
  for (int second = 0; second < 300; ++second) {
    const auto pod = podOf("p" + std::to_string(second), "attachment/nas");
    nas.put(pod);
    nas.put(setOf(pod, {"storage/nas"}));
    told += writes();
    nas.pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(told, 5);
  nas.networkReady(State::False, "Conflict", "m");
  const auto before = status().attachedPods;
  EXPECT_EQ(writes(), 1);
  EXPECT_EQ(status().conditions.find("Ready")->reason, "NetworkNotReady");
  EXPECT_EQ(status().attachedPods, before);
  const auto again = nas.ask(reconciler, "nas", "default").again;
  ASSERT_TRUE(again);
  nas.pass(*again);
  EXPECT_EQ(writes(), 1);
  EXPECT_EQ(status().attachedPods, 300);
  EXPECT_FALSE(nas.ask(reconciler, "nas", "default").again);
}

TEST(Attachment, IsLookedAtWhenWhatItReadsIsAnother) {
  Nas nas;
  const auto reconciler = attachmentReconciler();
  const auto concerned = [&] {
    Keys keys;
    for (const auto& change : nas.world.changes()) reconciler.concerned(nas.world, change, keys);
    return !keys.empty();
  };
  EXPECT_TRUE(concerned());
  nas.networkReady(State::False, "Conflict", "m");
  EXPECT_TRUE(concerned());
  nas.network.status.attachedPods = 7;
  nas.put(nas.network);
  EXPECT_FALSE(concerned()) << "it doesn't read that";
  nas.network.spec.mtu = 1400;
  nas.put(nas.network);
  EXPECT_FALSE(concerned()) << "the rules say the same of it";
  nas.network.spec.access.namespaces = {api::AccessFrom::None, {}};
  nas.put(nas.network);
  EXPECT_TRUE(concerned());
  nas.home({{"other", "label"}});
  EXPECT_FALSE(concerned());
  nas.put(podOf("p", "attachment/nas"));
  EXPECT_FALSE(concerned());
  nas.put(setOf(podOf("p", ""), {"storage/nas"}));
  EXPECT_TRUE(concerned());
}

}  // namespace
}  // namespace multinet::controller
