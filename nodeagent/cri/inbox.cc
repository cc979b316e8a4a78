#include "nodeagent/cri/inbox.h"

#include <sys/eventfd.h>

#include <utility>

namespace multinet::agent::cri {

Inbox::Inbox() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool Inbox::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return true;  // it is awake already
  }
  eventfd_write(wake_.get(), 1);
  return true;
}

void Inbox::runAll() {
  eventfd_t count = 0;
  static_cast<void>(eventfd_read(wake_.get(), &count));
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void Inbox::close() {
  std::vector<std::function<void()>> dropped;  // their ends may take the lock
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(tasks_);
}

}  // namespace multinet::agent::cri
