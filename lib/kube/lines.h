// Cuts a watch's bytes into its events: one JSON document a line.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace multinet::kube {

class LineSplitter {
 public:
  /// A line longer than `longest` bytes is an error (ResourceExhausted), so that a broken stream
  /// can't fill the memory. etcd's own limit for an object is 1.5 MiB.
  explicit LineSplitter(std::size_t longest) : longest_(longest) {}

  /// Calls `line` for each line that `bytes` completes, without its end; empty ones are left out.
  [[nodiscard]] Status feed(std::string_view bytes,
                            const std::function<Status(std::string_view)>& line);
  /// Bytes of a line that has not ended.
  [[nodiscard]] std::size_t partial() const { return partial_.size(); }

 private:
  const std::size_t longest_;
  std::string partial_;
};

}  // namespace multinet::kube
