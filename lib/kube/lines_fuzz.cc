// Whatever a server sends: no crash, and no line lost or made up by the cut of its bytes.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/kube/client.h"
#include "lib/kube/lines.h"
#include "lib/kube/store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multinet;
  if (size < 1) return 0;
  const std::size_t cut = data[0] % 16U + 1U;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto run = [&](std::size_t step) {
    std::vector<std::string> lines;
    kube::LineSplitter splitter(1U << 20U);
    for (std::size_t at = 0; at < text.size(); at += step) {
      static_cast<void>(splitter.feed(text.substr(at, step), [&](std::string_view line) -> Status {
        lines.emplace_back(line);
        return {};
      }));
    }
    return lines;
  };
  const auto lines = run(cut);
  if (lines != run(text.size() + 1)) std::abort();
  for (const auto& line : lines) {
    static_cast<void>(kube::withJson(line, [](const simdjson::dom::element& event) -> Status {
      simdjson::dom::element object;
      if (!event["object"].get(object)) static_cast<void>(kube::stampOf(object));
      return {};
    }));
  }
  return 0;
}
