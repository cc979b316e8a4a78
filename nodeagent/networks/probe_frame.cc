#include "nodeagent/networks/probe_frame.h"

#include <algorithm>
#include <array>

namespace multinet::agent::networks {
namespace {

constexpr std::array<std::uint8_t, 5> kStart = {'m', 'n', 'p', 'b', 1};
constexpr std::size_t kNonce = 8;

}  // namespace

std::vector<std::uint8_t> encodeProbe(const Probe& probe, std::size_t size) {
  std::vector<std::uint8_t> payload(std::max(size, kSmallProbe));
  std::copy(kStart.begin(), kStart.end(), payload.begin());
  payload[kStart.size()] = static_cast<std::uint8_t>(probe.kind);
  for (std::size_t i = 0; i < 8; ++i) {
    payload[kNonce + i] = static_cast<std::uint8_t>(probe.nonce >> (56U - 8U * i));
  }
  return payload;
}

std::optional<Probe> decodeProbe(std::span<const std::uint8_t> payload) {
  if (payload.size() < kSmallProbe || !std::equal(kStart.begin(), kStart.end(), payload.begin())) {
    return std::nullopt;
  }
  Probe probe;
  switch (payload[kStart.size()]) {
    case static_cast<std::uint8_t>(ProbeKind::Request):
      probe.kind = ProbeKind::Request;
      break;
    case static_cast<std::uint8_t>(ProbeKind::Reply):
      probe.kind = ProbeKind::Reply;
      break;
    default:
      return std::nullopt;
  }
  for (std::size_t i = 0; i < 8; ++i) probe.nonce = probe.nonce << 8U | payload[kNonce + i];
  return probe;
}

}  // namespace multinet::agent::networks
