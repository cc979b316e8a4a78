// What became of packets, as it is told.
#include <utility>

#include "lib/base/log.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent::policing {

void PolicyGuard::readDenied() {
  if (!committed_) return;
  const auto read = doors_.committer.counters(tables_.rules);
  if (!read || read->empty()) return;
  const auto of = [&](const char* counter) {
    const auto found = read->find(counter);
    return found == read->end() ? std::uint64_t{0} : found->second;
  };
  now_ = {of(kDeniedEgress), of(kDeniedIngress)};
  beyondNow_ = of(kBeyond);
}

/// What they counted goes with their table.
void PolicyGuard::forgetCounters() {
  before_.egress += std::exchange(now_.egress, 0);
  before_.ingress += std::exchange(now_.ingress, 0);
  beyondBefore_ += std::exchange(beyondNow_, 0);
  beyondTold_.clear();
}

std::uint64_t PolicyGuard::beyond() {
  const std::lock_guard lock(mutex_);
  readDenied();
  return beyondBefore_ + beyondNow_;
}

std::map<std::string, std::uint64_t> PolicyGuard::beyondByPort() {
  const std::lock_guard lock(mutex_);
  if (!committed_ || mostFlows_ == 0) return {};
  auto counted = doors_.committer.counted(tables_.rules, kBeyond);
  return counted ? std::move(*counted) : nft::Counts{};
}

std::optional<FlowTable> PolicyGuard::flows() const {
  const std::lock_guard lock(mutex_);
  if (!committed_ || !doors_.flows) return std::nullopt;
  const auto table = doors_.flows->read();
  return table ? std::optional(*table) : std::nullopt;
}

/// Once while it lasts, for each port.
void PolicyGuard::tellBeyond() {
  const std::uint64_t before = beyondNow_;
  readDenied();
  if (beyondNow_ == before && beyondNames_.empty()) return;
  auto counted = doors_.committer.counted(tables_.rules, kBeyond);
  if (!counted) return;
  std::set<std::string> names;
  for (const auto& [port, packets] : *counted) {
    const auto last = beyondTold_.find(port);
    if (last != beyondTold_.end() && last->second == packets) continue;
    names.insert(port);
    if (beyondNames_.contains(port)) continue;
    log::warn("new connections are dropped: their sender holds its share of the node's",
              {{"pod", podOf(port)},
               {"port", port},
               {"connections", mostFlows_ / kMostShare},
               {"packets", packets}});
  }
  beyondTold_ = std::move(*counted);
  beyondNames_ = std::move(names);
}

Denied PolicyGuard::denied() {
  const std::lock_guard lock(mutex_);
  readDenied();
  return {before_.egress + now_.egress, before_.ingress + now_.ingress};
}

std::map<std::string, Denied> PolicyGuard::deniedByPort() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Denied> ports;
  if (!committed_) return ports;
  if (const auto sent = doors_.committer.counted(tables_.rules, kDeniedOut)) {
    for (const auto& [port, packets] : *sent) ports[port].egress = packets;
  }
  if (const auto got = doors_.committer.counted(tables_.rules, kDeniedIn)) {
    for (const auto& [port, packets] : *got) ports[port].ingress = packets;
  }
  return ports;
}

/// For people; nothing where it is no pod's of this node.
std::string PolicyGuard::podOf(const std::string& port) const {
  for (const auto& [uid, network] : networks_) {
    for (const auto& [pod, name] : network.held.ports) {
      if (name == port) return pod.str();
    }
  }
  return "";
}

}  // namespace multinet::agent::policing
