#include "lib/kube/lines.h"

namespace multinet::kube {

Status LineSplitter::feed(std::string_view bytes,
                          const std::function<Status(std::string_view)>& line) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > longest_) {
      return fail(Code::ResourceExhausted, "EventTooLong",
                  "read watch: an event is longer than " + std::to_string(longest_) + " bytes");
    }
    if (end == std::string_view::npos) {
      partial_.append(piece);
      return {};
    }
    bytes.remove_prefix(end + 1);
    if (partial_.empty()) {
      if (!piece.empty()) MULTINET_CHECK(line(piece));
      continue;
    }
    partial_.append(piece);
    const std::string whole = std::exchange(partial_, {});
    MULTINET_CHECK(line(whole));
  }
  return {};
}

}  // namespace multinet::kube
