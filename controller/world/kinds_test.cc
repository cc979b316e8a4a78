#include "controller/world/kinds.h"

#include <gmock/gmock.h>

#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/k8s/describe_core.h"

namespace multinet::controller {
namespace {

template <class T, const k8s::Fields& F>
std::vector<std::string> strangersIn(const k8s::Projection<T, F>* /*kind*/) {
  return k8s::strangers(F, k8s::outline<T>());
}

/// It says itself what is read of it.
std::vector<std::string> strangersIn(const npwg::MultiNetworkPolicy* /*kind*/) {
  return {};
}

template <class... T>
struct Lists {
  static std::vector<std::string> strangers() {
    std::vector<std::string> all;
    const auto add = [&](std::vector<std::string> some) {
      all.insert(all.end(), some.begin(), some.end());
    };
    (add(strangersIn(static_cast<T*>(nullptr))), ...);
    return all;
  }
};

/// lib/api's schema test holds the structs against the CRDs; this one what is read of them.
TEST(Kinds, AreReadByFieldsThatTheStructsHave) {
  EXPECT_THAT(ForKinds<Lists>::strangers(), ::testing::IsEmpty());
}

TEST(Kinds, KeepOfAPodWhatADecisionLooksAt) {
  const auto pod = k8s::decodeText<Pod>(R"({"metadata": {"namespace": "n", "name": "p", "uid": "u",
    "resourceVersion": "7", "labels": {"a": "b"},
    "annotations": {"multinet.dev/networks": "blue", "other": "x"}},
    "spec": {"nodeName": "a", "serviceAccountName": "s"},
    "status": {"phase": "Running", "podIP": "10.0.0.1"}})");
  ASSERT_TRUE(pod.has_value());
  EXPECT_EQ(pod->metadata.annotations, (k8s::StringMap{{"multinet.dev/networks", "blue"}}));
  EXPECT_TRUE(pod->metadata.resourceVersion.empty()) << "it would be another with each heartbeat";
  EXPECT_EQ(pod->status.phase, "Running");
  EXPECT_TRUE(pod->status.podIP.empty());
}

TEST(Kinds, KeepTheNotesOfServicesThatAreOursAlone) {
  const std::string text = R"({"metadata": {"namespace": "n", "name": "s", "uid": "u",
    "annotations": {"note": "long"}, "ownerReferences": [{"kind": "KIND", "name": "s", "uid": "o"}]},
    "spec": {"type": "ClusterIP"}})";
  const auto owned = [&](const std::string& kind) {
    auto made = text;
    return k8s::decodeText<Service>(made.replace(made.find("KIND"), 4, kind));
  };
  const auto ours = owned("PodNetworkService");
  ASSERT_TRUE(ours.has_value()) << ours.error().message;
  EXPECT_EQ(ours->metadata.annotations, (k8s::StringMap{{"note", "long"}}));
  const auto others = owned("Mesh");
  ASSERT_TRUE(others.has_value()) << others.error().message;
  EXPECT_TRUE(others->metadata.annotations.empty());
}

TEST(Kinds, PodsConcernUsByTheirRequestOrTheirGate) {
  Pod pod;
  EXPECT_FALSE(concerns(pod));
  pod.metadata.annotations[api::kNetworksAnnotation] = "";
  EXPECT_TRUE(concerns(pod));
  pod.metadata.annotations.clear();
  pod.spec.readinessGates = {{"other"}, {api::kReadyGate}};
  EXPECT_TRUE(concerns(pod));
}

}  // namespace
}  // namespace multinet::controller
