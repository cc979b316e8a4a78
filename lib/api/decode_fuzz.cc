// Any JSON as any of our kinds: never a crash; what decodes encodes and decodes to the same, and
// every rule can be run on it.
#include <cstdint>
#include <cstdlib>

#include "lib/api/cluster_policy.h"
#include "lib/api/describe.h"
#include "lib/api/fake_catalog.h"
#include "lib/api/health_check.h"
#include "lib/api/policy.h"
#include "lib/api/resolve.h"
#include "lib/api/service.h"
#include "lib/api/validate.h"

namespace {

template <class T>
std::optional<T> tryKind(simdjson::dom::element element) {
  const auto object = multinet::k8s::decode<T>(element);
  if (!object) return std::nullopt;
  const auto json = multinet::k8s::KindTraits<T>::encode(*object);
  const auto again = multinet::k8s::decodeText<T>(json.dump());
  // Times lose their fractions on the way out, so the texts are compared.
  if (!again || multinet::k8s::KindTraits<T>::encode(*again) != json) std::abort();
  return *object;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multinet::api;
  const std::string text(data, data + size);
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(text).get(element) != simdjson::SUCCESS) return 0;
  if (const auto check = parseHealthCheck(text)) {
    if (parseHealthCheck(spellHealthCheck(*check)) != *check) std::abort();
  }
  (void)tryKind<PodInterfaceSet>(element);
  (void)tryKind<NodeNetworkSet>(element);
  (void)tryKind<NetworkPeer>(element);
  (void)tryKind<PodNetworkPolicySlice>(element);
  (void)tryKind<IPBlock>(element);
  (void)tryKind<NetworkIdentifier>(element);
  FakeCatalog catalog;
  if (const auto network = tryKind<PodNetwork>(element)) {
    (void)validateUpdate(*network, *network);
    (void)conflicts(*network, *network);
    catalog.networks["blue"] = *network;
    (void)explain({"default", false, "blue"}, catalog);
  }
  if (const auto attachment = tryKind<PodNetworkAttachment>(element)) {
    (void)validate(*attachment, catalog);
  }
  if (const auto service = tryKind<PodNetworkService>(element)) {
    (void)validateUpdate(*service, *service, catalog);
  }
  if (const auto policy = tryKind<PodNetworkPolicy>(element)) (void)validate(*policy, catalog);
  if (const auto policy = tryKind<ClusterPodNetworkPolicy>(element)) {
    (void)validate(*policy, catalog);
  }
  return 0;
}
