// Which pods a service on a network selects, kept as pods and services change.
#pragma once

#include <string>
#include <unordered_map>

#include "controller/world/tables.h"
#include "lib/k8s/metadata.h"

namespace multinet::controller {

/// Whether its selector is that of a pod with these labels.
[[nodiscard]] bool selects(const NetworkService& service, const k8s::StringMap& labels);
/// Calls `use` with each service of the namespace that selects a pod with these labels. Costs a
/// look-up for each of them.
template <class Use>
void forSelecting(const Tables& tables, const std::string& nameSpace, const k8s::StringMap& labels,
                  const Use& use) {
  for (const auto& [label, value] : labels) {
    const auto first = ByFirstLabel::key(nameSpace, label, value);
    for (const NetworkService* service : tables.of<NetworkService>().by<ByFirstLabel>(first)) {
      if (selects(*service, labels)) use(*service);
    }
  }
}

/// One thread. Nothing is known of a service before it is asked for; then one look over the pods of
/// its namespace is made for all services of that namespace of which nothing is known.
class Selection {
 public:
  /// To be called after the tables have it.
  void changed(const Pod* before, const Pod* now, const Tables& tables);
  void changed(const NetworkService* before, const NetworkService* now);
  /// In no order; until the next change.
  [[nodiscard]] const Members<Pod>& podsOf(const NetworkService& service, const Tables& tables);

 private:
  void look(const std::string& nameSpace, const Tables& tables);

  std::unordered_map<k8s::ObjectKey, Members<Pod>> known_;
};

}  // namespace multinet::controller
