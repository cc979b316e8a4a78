// An Ethernet address.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace multinet {

class MacAddress {
 public:
  MacAddress() = default;
  explicit MacAddress(const std::array<std::uint8_t, 6>& bytes) : bytes_(bytes) {}
  /// `0a:58:0a:14:ff:07`. Refuses multicast and all-zero addresses: no interface can have them.
  [[nodiscard]] static Result<MacAddress> parse(std::string_view text);
  /// A locally administered unicast address made of a seed: same seed, same address.
  [[nodiscard]] static MacAddress derive(std::string_view seed);

  [[nodiscard]] const std::array<std::uint8_t, 6>& bytes() const { return bytes_; }
  [[nodiscard]] std::string str() const;
  auto operator<=>(const MacAddress&) const = default;

 private:
  std::array<std::uint8_t, 6> bytes_{};
};

}  // namespace multinet
