#include "nodeagent/attach/parents.h"

namespace multinet::agent::attach {
namespace {

/// More than a node has networks; then all are looked at anew.
constexpr std::size_t kMost = 1024;

}  // namespace

Result<std::optional<netlink::LinkInfo>> Parents::find(netlink::Socket& socket,
                                                       drivers::Place place,
                                                       const std::string& name) {
  const Key key{place, name};
  if (const auto known = known_.find(key); known != known_.end()) {
    // An index is never another device's as long as the name is the same, and a kind is for life.
    if (const auto glance = socket.glance({known->second.index, name})) {
      relied_ = true;
      known->second.up = glance->up;
      known->second.mtu = glance->mtu;
      return std::optional(known->second);
    }
    known_.erase(known);
  }
  auto link = netlink::findLink(socket, {0, name});
  if (!link && link.error().code == Code::NotFound) return std::optional<netlink::LinkInfo>{};
  if (!link) return fail(link.error());
  // A port may be let go at any time, and nothing would tell.
  if (known_.size() >= kMost) known_.clear();
  if (link->master == 0) known_.emplace(key, *link);
  return std::optional(*std::move(link));
}

bool Parents::forget() {
  known_.clear();
  return std::exchange(relied_, false);
}

}  // namespace multinet::agent::attach
