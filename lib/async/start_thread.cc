#include "lib/async/start_thread.h"

#include <cerrno>

#include "lib/base/failpoint.h"

namespace multinet::async {

void threadDoor(const std::string& name) {
  if (failpoint::check("thread." + name)) return;
  throw std::system_error(EAGAIN, std::generic_category(), "failpoint thread." + name);
}

}  // namespace multinet::async
