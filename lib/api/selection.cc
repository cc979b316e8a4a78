#include "lib/api/selection.h"

#include <algorithm>
#include <set>

#include "lib/api/names.h"
#include "lib/api/request.h"

namespace multinet::api {
namespace {

/// Items of a value that can be read; none of one that can't.
std::vector<RequestItem> itemsOf(const std::optional<std::string>& text) {
  if (!text) return {};
  auto request = parseRequest(*text);
  return request ? std::move(request->items) : std::vector<RequestItem>();
}

std::optional<std::string> joined(const std::vector<RequestItem>& items) {
  if (items.empty()) return std::nullopt;
  std::string out;
  for (const RequestItem& item : items) out += (out.empty() ? "" : ", ") + item.str();
  return out;
}

/// The networks that items lead to, as far as they exist.
std::set<std::string> networksOf(const std::vector<RequestItem>& items, const Candidate& pod,
                                 const Catalog& catalog) {
  std::set<std::string> networks;
  for (const RequestItem& item : items) {
    if (item.kind == RequestKind::Network) {
      networks.insert(item.name);
    } else if (const auto attachment = catalog.attachment(pod.namespaceName, item.name)) {
      networks.insert(attachment->spec.podNetworkName);
    }
  }
  return networks;
}

}  // namespace

bool selectsPods(const std::string& namespaceName, const k8s::StringMap& labels) {
  const auto label = labels.find(kSelectLabel);
  return namespaceName != kSystemNamespace && label != labels.end() &&
         label->second == kSelectEnabled;
}

Selection select(const Candidate& pod, const std::vector<PodNetworkAttachment>& attachments,
                 const Catalog& catalog) {
  const bool readable = !pod.request || parseRequest(*pod.request).has_value();
  if (!readable) return {pod.request, std::nullopt};
  const std::vector<RequestItem> before = itemsOf(pod.selected);
  std::vector<RequestItem> items = itemsOf(pod.request);
  const auto erased = std::erase_if(items, [&](const RequestItem& item) {
    return item.kind == RequestKind::Attachment && std::ranges::find(before, item) != before.end();
  });
  const std::set<std::string> asked = networksOf(items, pod, catalog);

  std::vector<RequestItem> chosen;
  for (const PodNetworkAttachment& one : attachments) {
    const std::optional<k8s::LabelSelector>& selector = one.spec.podSelector;
    if (!selector || !selector->matches(pod.labels)) continue;
    if (one.metadata.deleting() || asked.contains(one.spec.podNetworkName)) continue;
    chosen.push_back({RequestKind::Attachment, one.metadata.name});
  }
  std::ranges::sort(chosen);
  Selection none{erased == 0 ? pod.request : joined(items), std::nullopt};
  if (chosen.empty()) return none;
  if (pod.hostNetwork) {
    for (const RequestItem& item : chosen) none.onHost.push_back(item.name);
    return none;
  }
  items.insert(items.end(), chosen.begin(), chosen.end());
  return {joined(items), joined(chosen)};
}

void tellSelection(Violations& violations, const Selection& selection) {
  if (!selection.selected) return;
  for (Violation& violation : violations) {
    violation.remedy += (violation.remedy.empty() ? "" : "; ") +
                        std::string("by its labels it got ") + *selection.selected +
                        " (spec.podSelector of each)";
  }
}

}  // namespace multinet::api
