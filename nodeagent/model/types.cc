#include "nodeagent/model/types.h"

#include <utility>

namespace multinet::agent {
namespace {

/// Calls `visit` with an empty value of each alternative until it says true.
template <class Variant, class Visit>
bool anyOf(Visit visit) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (visit(std::variant_alternative_t<I, Variant>{}) || ...);
  }(std::make_index_sequence<std::variant_size_v<Variant>>());
}

/// The first that the test holds for.
template <class Test>
Link firstLink(Test test) {
  Link found;
  anyOf<Link>([&](const auto& one) {
    if (!test(one)) return false;
    found = one;
    return true;
  });
  return found;
}

}  // namespace

std::vector<api::NetworkType> knownTypes() {
  std::vector<api::NetworkType> types;
  anyOf<Link>([&](const auto& one) {
    types.push_back(one.kType);
    return false;
  });
  return types;
}

Link linkOfType(api::NetworkType type) {
  return firstLink([type](const auto& one) { return one.kType == type; });
}

Link linkOfKind(std::string_view kind) {
  return firstLink([kind](const auto& one) { return one.traits().kind == kind; });
}

Result<Link> linkOfForm(std::string_view type, const drivers::LinkForm& form) {
  std::string known;
  Result<Link> link = Link{};
  const bool found = anyOf<Link>([&]<class One>(const One& one) {
    known += (known.empty() ? "" : ", ") + std::string(api::name(one.kType));
    if (type != api::name(one.kType)) return false;
    link = One::ofForm(form);
    return true;
  });
  if (found) return link;
  return fail(Code::InvalidArgument, "InvalidType",
              "type \"" + std::string(type) + "\": this agent knows " + known);
}

std::optional<Network> networkOf(const api::PodNetwork& network,
                                 const std::vector<const api::NetworkPeer*>& peers,
                                 const NodeName& node) {
  std::optional<Network> made;
  anyOf<Network>([&]<class One>(const One& one) {
    if (one.kType != network.spec.type) return false;
    if (auto value = One::of(network, peers, node)) made = std::move(*value);
    return true;
  });
  return made;
}

}  // namespace multinet::agent
