// Whether a line would be written at all, where its fields are dear to make.
#pragma once

#include "lib/base/log.h"

namespace multinet::log {

/// Any thread.
[[nodiscard]] bool isOn(Level level);

}  // namespace multinet::log
