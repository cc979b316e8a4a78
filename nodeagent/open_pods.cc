#include "nodeagent/open_pods.h"

#include <algorithm>

#include "lib/netlink/link.h"
#include "lib/netns/netns.h"
#include "nodeagent/cleanup.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent {
namespace {

/// In the namespace of the calling thread.
Status clearHere() {
  MULTINET_CHECK(policing::PolicyGuard::clear());
  return isolation::PortGuard::clear();
}

/// Likewise.
Result<bool> hasLink(const std::function<bool(const IntentId&)>& isOurs) {
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(const auto links, netlink::findLinks(socket));
  return std::ranges::any_of(links, [&](const netlink::LinkInfo& link) {
    const auto mark = drivers::parseAlias(link.alias);
    return mark && isOurs(mark->intent);
  });
}

}  // namespace

Result<std::size_t> openPods(const Settings& settings,
                             const std::function<bool(const IntentId&)>& isOurs,
                             const std::string& proc) {
  MULTINET_CHECK(clearHere());
  if (const std::string path = switchPathOf(settings); !path.empty()) {
    const auto there = netns::openPath(path);
    if (!there && there.error().code != Code::NotFound) return fail(there.error());
    if (there) {
      MULTINET_TRY(const auto scope, netns::Scope::enter(*there));
      MULTINET_CHECK(clearHere());
    }
  }
  MULTINET_TRY(const netns::Home home, netns::openHome());
  std::size_t opened = 0;
  const auto open = [&](const Fd& one) -> Status {
    MULTINET_TRY(const netns::Identity which, netns::identity(one));
    if (which == home.identity) return {};
    MULTINET_TRY(const auto scope, netns::Scope::enter(one, home));
    MULTINET_TRY(const bool isOne, hasLink(isOurs));
    if (!isOne) return {};
    ++opened;
    return clearHere();
  };
  MULTINET_CHECK(netns::forEach(open, proc));
  return opened;
}

}  // namespace multinet::agent
