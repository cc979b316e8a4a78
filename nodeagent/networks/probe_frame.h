// What nodes send each other through a tunnel to measure it. Pure.
//
// An Ethernet frame of the local experimental type (IEEE 802 EtherType 88-B5) from bridge to
// bridge:
//   0  magic "mnpb"   4  version 1   5  kind   6  zero, zero   8  nonce (8 bytes)   16  zeros
// A reply is as long as its request, so a full-size exchange measures both directions, and nobody
// can have more sent than he sends.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace multinet::agent::networks {

inline constexpr std::uint16_t kProbeEthertype = 0x88B5;
/// The shortest Ethernet payload (IEEE 802.3).
inline constexpr std::size_t kSmallProbe = 46;

enum class ProbeKind : std::uint8_t { Request = 1, Reply = 2 };

struct Probe {
  ProbeKind kind = ProbeKind::Request;
  std::uint64_t nonce = 0;
  bool operator==(const Probe&) const = default;
};

/// `size` bytes of payload, at least kSmallProbe.
[[nodiscard]] std::vector<std::uint8_t> encodeProbe(const Probe& probe, std::size_t size);
/// nullopt: not one of ours.
[[nodiscard]] std::optional<Probe> decodeProbe(std::span<const std::uint8_t> payload);

}  // namespace multinet::agent::networks
