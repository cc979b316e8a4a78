// Whatever a socket hands over, decoders read inside it or say DataLoss.
#include <cstddef>
#include <cstdint>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multinet::netlink;
  const Bytes bytes(data, size);
  const auto decode = [](Bytes payload) {
    static_cast<void>(decodeLink(payload));
    static_cast<void>(decodeAddress(payload));
    static_cast<void>(decodeRoute(payload));
    static_cast<void>(decodeFdb(payload));
  };
  decode(bytes);
  if (const auto frames = parseFrames(bytes)) {
    for (const Frame& frame : *frames) {
      static_cast<void>(parseAck(frame));
      decode(frame.payload);
    }
  }
  return 0;
}
