// Source ports of what a gateway sends, which say what it is: the rules of the gateway give them,
// those of policies go by them.
#pragma once

#include <cstdint>

namespace multinet::agent {

/// Its own: health checks.
inline constexpr std::uint16_t kFirstCheckPort = 512;
inline constexpr std::uint16_t kLastCheckPort = 1023;
/// Of clients whom the policies of this node's endpoints admit by their own addresses.
inline constexpr std::uint16_t kFirstJudgedPort = 1024;
inline constexpr std::uint16_t kLastJudgedPort = 16383;
/// Of all other clients. Theirs were whatever they liked.
inline constexpr std::uint16_t kFirstClientPort = 16384;
inline constexpr std::uint16_t kLastClientPort = 65535;

}  // namespace multinet::agent
