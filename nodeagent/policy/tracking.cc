#include "nodeagent/policy/tracking.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>

#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"

namespace multinet::agent::policing {
namespace {

/// The tables as they are, under names of their own.
bool takes(nft::Committer& committer, Tracking tracking, std::uint32_t mostFlows) {
  Tables tables = tablesFor(tracking, mostFlows);
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

/// Nobody is limited.
constexpr std::uint32_t kUnlimited = 0;

/// A file of /proc/sys/net is that of the namespace that it was looked up in.
Result<Fd> openSetting(const std::string& name) {
  const std::string path = "/proc/sys/net/netfilter/" + name;
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errnoError("open " + path, errno));
  return fd;
}

Result<std::uint32_t> readSetting(const Fd& fd) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return fail(errnoError("read the table of flows", errno));
  std::uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + size, number);
  if (read.ec != std::errc()) {
    return fail(Code::DataLoss, "NotANumber",
                "read the table of flows: the kernel gives no number");
  }
  return number;
}

}  // namespace

std::optional<Tracking> findTracking(nft::Committer& committer) {
  if (takes(committer, Tracking::Bridge, kUnlimited)) return Tracking::Bridge;
  // The bridges' settings are there without the module, too.
  const bool hasModule = netns::readSysctl("bridge/bridge-nf-call-iptables").has_value();
  if (hasModule && takes(committer, Tracking::BrNetfilter, kUnlimited))
    return Tracking::BrNetfilter;
  return std::nullopt;
}

bool canCount(nft::Committer& committer, Tracking tracking) {
  constexpr std::uint32_t kAny = 65536;
  return takes(committer, tracking, kAny);
}

Result<FlowGauge> FlowGauge::open() {
  MULTINET_TRY(Fd held, openSetting("nf_conntrack_count"));
  MULTINET_TRY(Fd most, openSetting("nf_conntrack_max"));
  return FlowGauge(std::move(held), std::move(most));
}

Result<FlowTable> FlowGauge::read() const {
  FlowTable table;
  MULTINET_TRY(table.held, readSetting(held_));
  MULTINET_TRY(table.most, readSetting(most_));
  return table;
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
