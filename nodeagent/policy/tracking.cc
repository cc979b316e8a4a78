#include "nodeagent/policy/tracking.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"

namespace multinet::agent::policing {
namespace {

/// The tables as they are, under names of their own.
bool takes(nft::Committer& committer, Tracking tracking) {
  Tables tables = tablesFor(tracking);
  tables.rules.name = "multinet-policy-try";
  tables.flows.name = "multinet-flows-try";
  std::string commands;
  for (const nft::Table* table : {&tables.rules, &tables.flows}) {
    commands += nft::renderReplace(*table);
  }
  for (const nft::Table* table : {&tables.rules, &tables.flows}) {
    commands += nft::renderDelete(table->name, table->family);
  }
  return committer.commit(commands).has_value();
}

}  // namespace

std::optional<Tracking> findTracking(nft::Committer& committer) {
  if (takes(committer, Tracking::Bridge)) return Tracking::Bridge;
  // The bridges' settings are there without the module, too.
  const bool hasModule = netns::readSysctl("bridge/bridge-nf-call-iptables").has_value();
  if (hasModule && takes(committer, Tracking::BrNetfilter)) return Tracking::BrNetfilter;
  return std::nullopt;
}

void letPacketsLeave() {
  // A packet's way through a bridge is one RCU read section; this waits for all of them (kernel/
  // sched/membarrier.c). With one processor none can be on its way while this thread runs.
  static_cast<void>(::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

Status setTracked(netlink::Socket& links, const std::string& bridge, netlink::CallsInet calls) {
  const auto link = netlink::findLink(links, {0, bridge});
  if (!link && link.error().code == Code::NotFound) return {};
  if (!link) return fail(link.error());
  if (link->callsInet == (calls == netlink::CallsInet::Yes)) return {};
  return links.run(netlink::setCallsInet({link->index, bridge}, calls));
}

void setConntrack() {
  // A policy says who may speak to whom. Whether a segment fits into a window is the ends' affair,
  // and what isn't of its flow would be judged as the first packet of another.
  const Status liberal = netns::writeSysctl("netfilter/nf_conntrack_tcp_be_liberal", "1");
  if (!liberal) log::warn("can't set up connection tracking", {{"error", liberal.error()}});
}

}  // namespace multinet::agent::policing
