#include "nodeagent/drivers/host.h"

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/op.h"

namespace multinet::agent::drivers {

const netlink::LinkInfo* Links::link(const std::string& name) const {
  const auto found = links.find(name);
  return found == links.end() ? nullptr : &found->second;
}

const netlink::LinkInfo* Links::link(int index) const {
  for (const auto& [name, link] : links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

const netlink::LinkInfo* ownLink(const Host& host, const NetworkUid& network,
                                 const std::string& name) {
  for (const Links* side : {&host.inner, static_cast<const Links*>(&host)}) {
    const auto* link = side->link(name);
    if (link != nullptr && link->alias == networkAlias(network)) return link;
  }
  return nullptr;
}

bool isMarked(const netlink::LinkInfo& link) {
  return parseNetworkAlias(link.alias).has_value() || parseAlias(link.alias).has_value();
}

}  // namespace multinet::agent::drivers
