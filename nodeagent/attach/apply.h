// Puts planned steps into the kernel and remembers how to take them back.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "lib/netns/netns.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/attach/plan.h"

namespace multinet::agent::attach {

/// A pod's namespace and a socket that lives in it.
class Pod {
 public:
  /// InvalidArgument where `netns` is no network namespace or is the calling thread's own.
  [[nodiscard]] static Result<Pod> open(Fd netns);
  /// The same for a thread that is at `home`, which outlives the pod.
  [[nodiscard]] static Result<Pod> open(Fd netns, const netns::Home& home);
  /// Moves the calling thread there, which is the one that opened it or at the same home.
  [[nodiscard]] Result<netns::Scope> enter() const;
  [[nodiscard]] netlink::Socket& socket() { return socket_; }
  [[nodiscard]] const Fd& netns() const { return netns_; }

 private:
  Pod(Fd netns, const netns::Home* home, netlink::Socket socket)
      : netns_(std::move(netns)), home_(home), socket_(std::move(socket)) {}
  Fd netns_;
  const netns::Home* home_;
  netlink::Socket socket_;
};

/// Sockets of the host's side, each in its namespace.
struct HostSide {
  netlink::Socket& ends;     ///< bridges and the host's ends of veth pairs: the switch
  netlink::Socket& parents;  ///< parents of macvlans: the node's own
};

/// What takes an attach back, in the order in which it is to be done. Requests of the pod are for
/// the pod's own socket; then links of the host are deleted by name.
struct Undo {
  std::vector<netlink::Request> pod;
  std::vector<std::string> hostLinks;
  [[nodiscard]] bool empty() const { return pod.empty() && hostLinks.empty(); }
};

/// A link of ours that was there before, under the name that it has now.
struct PresentLink {
  int index = 0;
  std::string name;
};
/// By the interface's name in the plan.
using PresentLinks = std::map<std::string, PresentLink>;
[[nodiscard]] PresentLinks presentLinks(const Observed& observed, const Desired& desired);

/// One attach or repair under way. Lives on the thread of `host`.
class Applier {
 public:
  /// What is done once links are there and before any comes up; again where interfaces got other
  /// MACs.
  using BeforeUp = std::function<Status(const std::map<std::string, MacAddress>& replacedMacs)>;
  Applier(HostSide host, Pod& pod, AbortFlag abort, PresentLinks present, BeforeUp beforeUp = {});

  /// Stops at the first stage that fails. Steps that are done already (an address that is there)
  /// count as done. The first failure is the answer; undo() takes back what was done.
  [[nodiscard]] Status apply(const std::vector<drivers::Op>& ops);
  /// Interfaces that got another MAC than planned, since another link of their parent kept that
  /// one.
  [[nodiscard]] const std::map<std::string, MacAddress>& replacedMacs() const {
    return replacedMacs_;
  }
  /// Links of the pod as they were when all of them had been configured, by the interface's name;
  /// those with nothing to configure aren't there.
  [[nodiscard]] const std::map<std::string, netlink::LinkInfo>& seen() const { return seen_; }
  /// To be asked after apply(); steps with an unknown outcome are taken back too.
  [[nodiscard]] Undo undo() const;

 private:
  /// A step and the request that it became.
  struct Sent {
    const drivers::Op* op;
    netlink::Request request;
    Status verdict{};
  };
  [[nodiscard]] Status checkAbort() const;
  [[nodiscard]] Status create(const std::vector<const drivers::Op*>& ops);
  [[nodiscard]] Status findBorn();
  [[nodiscard]] bool isBornWith(const drivers::Op& op) const;
  [[nodiscard]] Status writeSysctls(const std::vector<const drivers::Op*>& ops);
  [[nodiscard]] Status configure(const std::vector<const drivers::Op*>& ops);
  [[nodiscard]] Status secure();
  /// Links of the pod that are looked at in the same send, after all else in it, by name.
  using Looks = std::set<std::string>;
  [[nodiscard]] Status send(netlink::Socket& socket, const std::vector<Sent>& batch,
                            const Looks& looks = {});
  [[nodiscard]] Status sendOnce(netlink::Socket& socket, std::vector<Sent>& batch,
                                const Looks& looks);
  [[nodiscard]] bool takeOtherNames(std::vector<Sent>& batch);
  [[nodiscard]] Status freeMac(std::vector<Sent>& batch);
  [[nodiscard]] Result<netlink::Request> request(const drivers::Op& op) const;
  [[nodiscard]] int indexOf(const std::string& interface) const;

  HostSide host_;
  Pod& pod_;
  AbortFlag abort_;
  BeforeUp beforeUp_;
  PresentLinks present_;                     ///< links that we did not make
  std::map<std::string, std::string> born_;  ///< links that we made: interface to first name
  std::map<std::string, int> index_;
  std::map<std::string, std::vector<std::int32_t>> bornInet6_;
  std::map<std::string, MacAddress> replacedMacs_;
  std::map<std::string, netlink::LinkInfo> seen_;
  std::vector<drivers::Op> done_;
};

}  // namespace multinet::agent::attach
