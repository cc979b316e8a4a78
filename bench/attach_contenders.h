// Three ways to put one interface into a pod: the agent's engine, bare netlink (the floor below
// which nobody gets), and the reference CNI plugins.
#pragma once

#include <memory>
#include <string>

#include "bench/in_turn.h"
#include "lib/base/fd.h"
#include "nodeagent/model/interface.h"

namespace multinet::bench {

class Contender {
 public:
  virtual ~Contender() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// Makes the interface in its own namespace: this is what is timed, until what it returns, the
  /// moment in which whoever goes on with the pod can do so.
  [[nodiscard]] virtual Result<Steady::time_point> attach() = 0;
  /// Takes it away again, so that the next attach finds what this one found.
  [[nodiscard]] virtual Status detach() = 0;
};

enum class LinkKind : std::uint8_t { Veth, Macvlan };

/// The interface that each makes: name, MAC, MTU, an IPv4 and an IPv6 address, a route, up.
/// `number` tells the contenders' addresses apart.
[[nodiscard]] agent::InterfacePlan planOf(LinkKind kind, unsigned number);

/// A namespace without duplicate address detection: the CNI macvlan plugin would wait a second for
/// it, and what is to be compared is the work.
[[nodiscard]] Result<Fd> makePod();

/// Makes the devices that the plans name as parents, in the calling thread's namespace.
[[nodiscard]] Status makeParents();

/// Attach engine of the agent, through its door: queue, look, plan, apply, read back.
[[nodiscard]] Result<std::unique_ptr<Contender>> makeEngine(agent::InterfacePlan plan);
/// The same with port security, in a table that has a hundred ports already.
[[nodiscard]] Result<std::unique_ptr<Contender>> makeSecured(agent::InterfacePlan plan);
/// The requests that the kernel needs, and the answer read back.
[[nodiscard]] Result<std::unique_ptr<Contender>> makeNetlink(agent::InterfacePlan plan);
/// The plugin `macvlan` or `bridge` with host-local, which keeps its leases in `leases`.
[[nodiscard]] Result<std::unique_ptr<Contender>> makeCni(const agent::InterfacePlan& plan,
                                                         const std::string& plugins,
                                                         const std::string& leases);

}  // namespace multinet::bench
