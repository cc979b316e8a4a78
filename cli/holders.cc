#include "cli/holders.h"

#include <map>

#include "cli/objects.h"
#include "lib/api/names.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

std::string ownerOf(const json& pod) {
  for (const json& owner : list(pod, "/metadata/ownerReferences")) {
    if (text(owner, "/controller") == "true") {
      return text(owner, "/kind") + " " + text(owner, "/name");
    }
  }
  return {};
}

bool isOver(const json& pod) {
  const auto phase = text(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed";
}

std::string requestOf(const json& pod) {
  const json annotations = pod.value(json::json_pointer("/metadata/annotations"), json::object());
  const auto found = annotations.find(api::kNetworksAnnotation);
  return found != annotations.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<json> listIfServed(Call& call, const kube::Kind& kind, const kube::Selection& selection) {
  auto items = call.list(kind, selection);
  if (!items && items.error().code == Code::NotFound) return json::array();
  return items;
}

Result<std::vector<Holder>> findHolders(Call& call, const std::string& node,
                                        const std::set<std::string>& untilGone) {
  const kube::Selection onNode{"", "", node.empty() ? "" : "spec.nodeName=" + node};
  MULTINET_TRY(const json pods, call.list(kinds::kPods, onNode));
  MULTINET_TRY(const json sets, listIfServed(call, kinds::kSets));
  std::map<std::string, Holder> found;
  for (const json& pod : pods) {
    const auto request = requestOf(pod);
    const auto uid = text(pod, "/metadata/uid");
    if (request.empty() || (isOver(pod) && !untilGone.contains(uid))) continue;
    const std::string name = text(pod, "/metadata/namespace") + "/" + nameOf(pod);
    found[name] = {name, uid, text(pod, "/spec/nodeName"), ownerOf(pod), request};
  }
  for (const json& set : sets) {
    const std::string name = podOf(set);
    if (found.contains(name) || (!node.empty() && text(set, "/nodeName") != node)) continue;
    found[name] = {name, text(set, "/pod/uid"), text(set, "/nodeName"), "",
                   joined(list(set, "/interfaces"), "/podNetworkName")};
  }
  std::vector<Holder> holders;
  holders.reserve(found.size());
  for (auto& [name, holder] : found) holders.push_back(std::move(holder));
  return holders;
}

void printHolders(Call& call, const std::vector<Holder>& holders, std::size_t most) {
  for (std::size_t i = 0; i < holders.size() && i < most; ++i) {
    const Holder& one = holders[i];
    call.out() << "  pod " << printable(one.pod) << " (" << printable(one.what) << ")";
    if (!one.owner.empty()) call.out() << ", made by " << printable(one.owner);
    call.out() << (one.node.empty() ? ", not placed" : " on " + printable(one.node)) << "\n";
  }
  if (holders.size() > most) call.out() << "  and " << holders.size() - most << " more\n";
}

}  // namespace multinet::cli
