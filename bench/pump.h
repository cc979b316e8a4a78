// The floor below which no relay gets: bytes read from one socket and written to another, and
// nobody looks at them.
#pragma once

#include <string>

#include "lib/base/result.h"

namespace multinet::bench {

/// Serves at the path `listen` until the process is ended; each connection gets one to `runtime`,
/// and two threads, one for each direction, that wait in read() and write().
[[nodiscard]] Status pump(const std::string& listen, const std::string& runtime);

}  // namespace multinet::bench
