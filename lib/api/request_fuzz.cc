// Both annotations with any bytes: never a crash, and what is read is written alike.
#include <cstdint>
#include <cstdlib>

#include "lib/api/request.h"
#include "lib/api/resolve.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multinet::api;
  const std::string text(data, data + size);
  if (const auto request = parseRequest(text)) {
    std::string again;
    for (const auto& item : request->items) again += (again.empty() ? "" : ",") + item.str();
    if (parseRequest(again) != request) std::abort();
  } else if (request.error().empty() || toError(request.error()).message.size() > 16384) {
    std::abort();
  }
  if (const auto resolved = parseResolved(text)) {
    std::vector<ResolvedInterface> interfaces;
    for (const auto& reference : *resolved) {
      ResolvedInterface interface;
      interface.name = reference.name;
      interface.item = reference.item;
      interface.objectUid = reference.objectUid;
      interface.network = reference.network;
      interface.networkUid = reference.networkUid;
      interfaces.push_back(std::move(interface));
    }
    if (formatResolved(interfaces) != text) std::abort();
  }
  return 0;
}
