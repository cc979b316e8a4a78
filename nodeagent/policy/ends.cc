#include "nodeagent/policy/ends.h"

#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "lib/netns/netns.h"

namespace multinet::agent::policing {

Result<std::map<std::string, std::string>> bridgesOfPorts(const std::optional<Fd>& switchNetns) {
  std::optional<netns::Scope> scope;
  if (switchNetns) {
    MULTINET_TRY(auto entered, netns::Scope::enter(*switchNetns));
    scope.emplace(std::move(entered));
  }
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(const auto links, netlink::findLinks(socket));
  std::map<int, std::string> bridges;
  for (const netlink::LinkInfo& link : links) {
    if (link.kind == "bridge") bridges.emplace(link.index, link.name);
  }
  std::map<std::string, std::string> out;
  for (const netlink::LinkInfo& link : links) {
    const auto bridge = bridges.find(link.master);
    if (bridge != bridges.end()) out.emplace(link.name, bridge->second);
  }
  return out;
}

}  // namespace multinet::agent::policing
