#include "nodeagent/services/words.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace multinet::agent::services {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void put(__u32 (&to)[4], const IpAddress& address) {
  std::array<std::uint8_t, 16> bytes = address.bytes();
  if (address.isV4()) {
    std::copy_n(bytes.begin(), 4, bytes.begin() + 12);
    std::ranges::copy(kMapped, bytes.begin());
  }
  std::memcpy(to, bytes.data(), bytes.size());
}

IpAddress take(const __u32 (&from)[4]) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), from, bytes.size());
  if (!std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return IpAddress::fromV6(bytes);
  std::array<std::uint8_t, 4> last{};
  std::copy_n(bytes.begin() + 12, 4, last.begin());
  return IpAddress::fromV4(last);
}

}  // namespace

NetworkKey keyOf(const NetworkUid& network) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : network.str()) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
  }
  return hash == 0 ? 1 : hash;
}

mn_frontend toMap(const Frontend& frontend) {
  mn_frontend made{};
  put(made.address, frontend.address);
  made.port = htons(frontend.port);
  made.protocol = static_cast<__u8>(frontend.transport);
  return made;
}

mn_backend toMap(const Target& target) {
  mn_backend made{};
  put(made.address, target.address);
  made.port = htons(target.port);
  return made;
}

Frontend fromMap(const mn_frontend& frontend) {
  return {take(frontend.address), ntohs(frontend.port),
          frontend.protocol == static_cast<__u8>(Transport::Udp) ? Transport::Udp : Transport::Tcp};
}

Target fromMap(const mn_backend& backend) {
  return {take(backend.address), ntohs(backend.port)};
}

}  // namespace multinet::agent::services
