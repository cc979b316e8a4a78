#include "controller/services/slices.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "controller/services/core_service.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"

namespace multinet::controller {
namespace {

/// Endpoints that can share a slice.
using Group = std::pair<std::string, std::vector<k8s::EndpointPort>>;

struct Wish {
  const k8s::Endpoint* endpoint = nullptr;
  const Group* group = nullptr;
  bool placed = false;
};

/// A slice as it shall be.
struct Draft {
  const k8s::EndpointSlice* standing = nullptr;
  k8s::EndpointSlice slice;
  const Group* group = nullptr;  ///< null: none of its endpoints is wanted

  [[nodiscard]] bool changed() const {
    return standing == nullptr || slice.endpoints != standing->endpoints ||
           slice.ports != standing->ports || slice.metadata.labels != standing->metadata.labels;
  }
  [[nodiscard]] bool hasRoom() const { return slice.endpoints.size() < kMostEndpoints; }
};

std::string idOf(std::string_view addressType, const k8s::Endpoint& endpoint) {
  return std::string(addressType) + " " + (endpoint.targetRef ? endpoint.targetRef->uid : "");
}

class Plan {
 public:
  Plan(const SliceOwner& owner, const std::vector<WantedEndpoint>& endpoints) : owner_(owner) {
    wishes_.reserve(endpoints.size());
    for (const auto& one : endpoints) {
      const Group* group = &*groups_.insert({one.addressType, one.ports}).first;
      const auto id = idOf(one.addressType, one.endpoint);
      if (!byId_.try_emplace(id, wishes_.size()).second) continue;
      wishes_.push_back({&one.endpoint, group, false});
    }
  }

  /// Endpoints that are there and wanted stay where they are.
  void keep(const std::vector<const k8s::EndpointSlice*>& standing) {
    for (const auto* slice : standing) {
      Draft draft{slice, *slice, groupOf(*slice)};
      draft.slice.metadata.labels = sliceLabels(owner_);
      draft.slice.endpoints.clear();
      if (draft.group != nullptr) draft.slice.ports = draft.group->second;
      for (const auto& endpoint : slice->endpoints) {
        Wish* wish = find(slice->addressType, endpoint);
        if (wish == nullptr || wish->placed || wish->group != draft.group) continue;
        wish->placed = true;
        draft.slice.endpoints.push_back(*wish->endpoint);
      }
      names_.insert(slice->metadata.name);
      drafts_.push_back(std::move(draft));
    }
  }

  void add() {
    for (Wish& wish : wishes_) {
      if (wish.placed) continue;
      placeFor(*wish.group).slice.endpoints.push_back(*wish.endpoint);
      wish.placed = true;
    }
  }

  void leave(const std::vector<const k8s::EndpointSlice*>& others) {
    for (const auto* slice : others) {
      names_.insert(slice->metadata.name);
      served_.insert(slice->addressType);
    }
  }

  /// What is empty goes, but for one of a family that has no other.
  std::vector<SliceChange> finish(const std::vector<api::AddressFamily>& families) {
    std::set<std::string> left;
    for (const auto family : families) left.insert(std::string(k8s::spell(family)));
    for (const auto& family : served_) left.erase(family);
    for (const Draft& draft : drafts_) {
      if (!draft.slice.endpoints.empty()) left.erase(draft.slice.addressType);
    }
    std::vector<SliceChange> changes;
    for (Draft& draft : drafts_) {
      const bool isEmpty = draft.slice.endpoints.empty();
      if (isEmpty && left.erase(draft.slice.addressType) == 0) {
        changes.push_back({draft.standing, std::nullopt, departs(draft)});
        continue;
      }
      if (isEmpty) draft.slice.ports.clear();
      if (!draft.changed()) continue;
      const bool leaves = departs(draft);
      changes.push_back({draft.standing, std::move(draft.slice), leaves});
    }
    for (const auto& family : left) changes.push_back({nullptr, made(family, {}), false});
    std::ranges::stable_partition(changes, &SliceChange::departs);
    return changes;
  }

 private:
  Wish* find(const std::string& addressType, const k8s::Endpoint& endpoint) {
    const auto found = byId_.find(idOf(addressType, endpoint));
    return found == byId_.end() ? nullptr : &wishes_[found->second];
  }

  /// A slice whose ports nobody wants any more goes on with those of its endpoints: it is their
  /// place.
  const Group* groupOf(const k8s::EndpointSlice& slice) {
    const auto found = groups_.find({slice.addressType, slice.ports});
    if (found != groups_.end()) return &*found;
    for (const auto& endpoint : slice.endpoints) {
      if (const Wish* wish = find(slice.addressType, endpoint)) return wish->group;
    }
    // An empty one is as good as a new one.
    if (!slice.endpoints.empty()) return nullptr;
    const auto any =
        std::ranges::find(groups_, slice.addressType, [](const Group& one) { return one.first; });
    return any == groups_.end() ? nullptr : &*any;
  }

  Draft& placeFor(const Group& group) {
    auto& place = places_[&group];
    if (place && drafts_[*place].hasRoom()) return drafts_[*place];
    place.reset();
    const auto better = [this](std::size_t one, std::size_t other) {
      const Draft& a = drafts_[one];
      const Draft& b = drafts_[other];
      if (a.changed() != b.changed()) return a.changed();
      return a.slice.endpoints.size() > b.slice.endpoints.size();
    };
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      if (drafts_[i].group != &group || !drafts_[i].hasRoom()) continue;
      if (!place || better(i, *place)) place = i;
    }
    if (!place) {
      place = drafts_.size();
      drafts_.push_back({nullptr, made(group.first, group.second), &group});
    }
    return drafts_[*place];
  }

  k8s::EndpointSlice made(const std::string& addressType, std::vector<k8s::EndpointPort> ports) {
    k8s::EndpointSlice slice;
    slice.metadata.nameSpace = owner_.nameSpace;
    slice.metadata.name = freeName(addressType);
    slice.metadata.labels = sliceLabels(owner_);
    slice.metadata.ownerReferences = {referenceTo(owner_.name, owner_.uid)};
    slice.addressType = addressType;
    slice.ports = std::move(ports);
    return slice;
  }

  /// `web-1f0c22ab-4-0`; with the UID, so that a service made again meets none of the old one's.
  std::string freeName(const std::string& addressType) {
    constexpr std::size_t kMostOfName = 40;
    const std::string stem = owner_.name.substr(0, kMostOfName) + "-" + owner_.uid.substr(0, 8) +
                             (addressType == "IPv6" ? "-6-" : "-4-");
    int number = 0;
    while (!names_.insert(stem + std::to_string(number)).second) ++number;
    return stem + std::to_string(number);
  }

  /// Whether an endpoint of the slice that stands is wanted no more, or is ready no more.
  bool departs(const Draft& draft) {
    if (draft.standing == nullptr) return false;
    return std::ranges::any_of(draft.standing->endpoints, [&](const k8s::Endpoint& before) {
      const Wish* wish = find(draft.slice.addressType, before);
      if (wish == nullptr) return true;
      return before.conditions.ready == true && wish->endpoint->conditions.ready != true;
    });
  }

  const SliceOwner& owner_;
  std::set<Group> groups_;
  std::vector<Wish> wishes_;
  std::unordered_map<std::string, std::size_t> byId_;
  std::vector<Draft> drafts_;
  std::set<std::string> names_;
  std::set<std::string> served_;  ///< families of slices that stay as they are
  std::map<const Group*, std::optional<std::size_t>> places_;
};

}  // namespace

std::vector<SliceChange> planSlices(const SliceOwner& owner,
                                    const std::vector<api::AddressFamily>& families,
                                    const std::vector<WantedEndpoint>& endpoints,
                                    const std::vector<const k8s::EndpointSlice*>& standing,
                                    const std::vector<const k8s::EndpointSlice*>& others) {
  auto sorted = standing;
  std::ranges::sort(sorted, {},
                    [](const auto* slice) -> const auto& { return slice->metadata.name; });
  Plan plan(owner, endpoints);
  plan.keep(sorted);
  plan.leave(others);
  plan.add();
  return plan.finish(families);
}

SlicePart partOf(const std::set<std::string>& pods, const std::vector<WantedEndpoint>& endpoints,
                 const std::vector<const k8s::EndpointSlice*>& standing) {
  const auto isTheirs = [&](const k8s::Endpoint& endpoint) {
    return endpoint.targetRef && pods.contains(endpoint.targetRef->name);
  };
  SlicePart part;
  std::set<const k8s::EndpointSlice*> chosen;
  std::map<std::string, const k8s::EndpointSlice*> placed;
  for (const auto* slice : standing) {
    for (const auto& endpoint : slice->endpoints) {
      if (!isTheirs(endpoint)) continue;
      chosen.insert(slice);
      placed.emplace(idOf(slice->addressType, endpoint), slice);
    }
  }
  std::set<std::string> isNew;  // families in which an endpoint wants a place
  for (const auto& one : endpoints) {
    const auto found = placed.find(idOf(one.addressType, one.endpoint));
    if (found == placed.end() || found->second->ports != one.ports) isNew.insert(one.addressType);
  }
  for (const auto* slice : standing) {
    const bool hasRoom = slice->endpoints.size() < kMostEndpoints;
    const bool takes = hasRoom && isNew.contains(slice->addressType);
    const bool isChosen = takes || chosen.contains(slice);
    (isChosen ? part.standing : part.others).push_back(slice);
    if (!isChosen) continue;
    for (const auto& endpoint : slice->endpoints) {
      if (!isTheirs(endpoint))
        part.endpoints.push_back({slice->addressType, slice->ports, endpoint});
    }
  }
  part.endpoints.insert(part.endpoints.end(), endpoints.begin(), endpoints.end());
  return part;
}

api::EndpointCounts countsOf(const std::vector<const k8s::EndpointSlice*>& slices) {
  api::EndpointCounts counts;
  for (const auto* slice : slices) {
    for (const auto& one : slice->endpoints) {
      counts.ready += one.conditions.ready == true ? 1 : 0;
      counts.serving += one.conditions.serving == true ? 1 : 0;
      counts.terminating += one.conditions.terminating == true ? 1 : 0;
    }
  }
  return counts;
}

k8s::StringMap sliceLabels(const SliceOwner& owner) {
  k8s::StringMap labels = owner.labels;
  labels[api::kServiceNameLabel] = owner.name;
  labels[api::kManagedByLabel] = api::kServiceManager;
  labels[api::kServiceProxyLabel] = api::kServiceManager;
  labels[api::kHeadlessLabel] = "";
  labels[api::kNetworkLabel] = owner.network;
  return labels;
}

}  // namespace multinet::controller
