#include "lib/api/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace multinet::api {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kUidDigits = 8;

bool isLower(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// At most `room` characters, ending as a name may end.
std::string cut(std::string text, std::size_t room) {
  if (text.size() > room) text.resize(room);
  while (!text.empty() && !isLower(text.back())) text.pop_back();
  return text;
}

/// FNV-1a: a name must be the same in every version of every program.
std::uint64_t hashOf(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001B3ULL;
  }
  return hash;
}

}  // namespace

bool isDnsLabel(std::string_view text) {
  if (text.empty() || text.size() > kMaxNetworkName) return false;
  return isLower(text.front()) && isLower(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return isLower(c) || c == '-'; });
}

bool isDnsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  while (true) {
    const auto dot = text.find('.');
    const auto label = text.substr(0, dot);
    // RFC 1123 bounds a label at 63; Kubernetes bounds only the whole name.
    const bool legal =
        !label.empty() && isLower(label.front()) && isLower(label.back()) &&
        std::all_of(label.begin(), label.end(), [](char c) { return isLower(c) || c == '-'; });
    if (!legal) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string interfaceSetName(std::string_view podName, const PodUid& uid) {
  const std::string digits = cut(uid.str(), kUidDigits);
  return cut(std::string(podName), kMaxName - 1 - kUidDigits) + "-" + digits;
}

std::string peerName(const NetworkName& network, const NodeName& node) {
  std::string whole = network.str() + "." + node.str();
  if (whole.size() <= kMaxName) return whole;
  return cutName(whole, whole, kMaxName);
}

std::string cutName(std::string_view name, std::string_view hashed, std::size_t room) {
  const std::string hash = fmt::format("-{:016x}", hashOf(hashed));
  return cut(std::string(name), room - hash.size()) + hash;
}

std::string blockName(const NetworkName& network, const IpPrefix& block) {
  const auto bytes = block.first().bytes();
  std::string hex;
  for (std::size_t i = 0; i < block.first().byteCount(); ++i) {
    hex += fmt::format("{:02x}", bytes.at(i));
  }
  return fmt::format("{}-{}-{}-{}", network.str(), block.isV4() ? "v4" : "v6", hex, block.length());
}

std::string policyHeadName(std::string_view policyName, std::string_view uid) {
  constexpr std::size_t kPolicyPart = 40;
  return cut(std::string(policyName), kPolicyPart) + "-" + cut(std::string(uid), kUidDigits);
}

std::string policySliceName(std::string_view headName, std::size_t place) {
  return fmt::format("{}-{}", headName, place);
}

std::string vxlanIdentifierName(std::uint32_t vni) {
  return fmt::format("vxlan-{}", vni);
}

}  // namespace multinet::api
