// Which endpoint stands in which EndpointSlice. Each has its place and keeps it, so that a change
// writes the slices that it is in and no other; the places are read from the slices that stand, so
// that a new leader knows them too.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/services/endpoints.h"
#include "lib/k8s/core.h"

namespace multinet::controller {

/// As core does it; a slice of that size is some 25 KB.
inline constexpr std::size_t kMostEndpoints = 100;

/// Whose slices they are.
struct SliceOwner {
  std::string nameSpace;
  std::string name;  ///< of the PodNetworkService and its Service
  std::string uid;   ///< of the PodNetworkService
  std::string network;
  k8s::StringMap labels;  ///< that go from the service to its slices
};

/// One write. Without `standing` a new one, without `wanted` its end.
struct SliceChange {
  const k8s::EndpointSlice* standing = nullptr;
  std::optional<k8s::EndpointSlice> wanted;
  bool departs = false;  ///< an endpoint leaves, or gets no new connections
};

/// Pure. What makes `endpoints` of the slices that stand, and no more; those with a departure come
/// first. In each of `families` there is a slice, if an empty one: readers tell a service without
/// endpoints from one that nobody looked at yet. New endpoints go into slices that change anyway,
/// then into the fullest with room, then into new ones. What `standing` points to outlives the
/// result. `others`: further slices of the service, which stay as they are.
[[nodiscard]] std::vector<SliceChange> planSlices(
    const SliceOwner& owner, const std::vector<api::AddressFamily>& families,
    const std::vector<WantedEndpoint>& endpoints,
    const std::vector<const k8s::EndpointSlice*>& standing,
    const std::vector<const k8s::EndpointSlice*>& others = {});

/// The part of a plan that a few pods are in.
struct SlicePart {
  std::vector<WantedEndpoint> endpoints;
  std::vector<const k8s::EndpointSlice*> standing;
  std::vector<const k8s::EndpointSlice*> others;
};
/// Pure. What planSlices() takes where nothing changed but the pods of these names, whose
/// `endpoints` are given: the slices that they are in, those that have room where one is new, and
/// all that stands there besides.
[[nodiscard]] SlicePart partOf(const std::set<std::string>& pods,
                               const std::vector<WantedEndpoint>& endpoints,
                               const std::vector<const k8s::EndpointSlice*>& standing);

/// What they have in all.
[[nodiscard]] api::EndpointCounts countsOf(const std::vector<const k8s::EndpointSlice*>& slices);

/// The labels of its slices.
[[nodiscard]] k8s::StringMap sliceLabels(const SliceOwner& owner);

}  // namespace multinet::controller
