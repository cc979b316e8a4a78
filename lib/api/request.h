// The request of a pod: `multinet.dev/networks: blue, attachment/nas`.
//
//   request = item *( "," item )         spaces and tabs around an item don't count
//   item    = network | "attachment/" attachment
//
// A network is a DNS label (63), an attachment of the pod's own namespace a DNS subdomain (253).
// Nothing else is understood: no JSON, no namespace, no interface name, no empty item.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "lib/api/violation.h"

namespace multinet::api {

enum class RequestKind : std::uint8_t { Network, Attachment };

struct RequestItem {
  RequestKind kind = RequestKind::Network;
  std::string name;
  auto operator<=>(const RequestItem&) const = default;
  /// As the request spells it: `blue`, `attachment/nas`.
  [[nodiscard]] std::string str() const;
};

/// In the order in which they were asked for: it decides net1, net2, ...
struct PodRequest {
  std::vector<RequestItem> items;
  bool operator==(const PodRequest&) const = default;
};

/// Longest request that is read: 16 attachments of the longest name.
inline constexpr std::size_t kMaxRequestBytes = 8192;

/// Whether any of its items is an attachment; false where it can't be read.
[[nodiscard]] bool asksByAttachment(std::string_view text);

/// All that is wrong with it, item by item, counted from 1.
[[nodiscard]] tl::expected<PodRequest, Violations> parseRequest(std::string_view text);

}  // namespace multinet::api
