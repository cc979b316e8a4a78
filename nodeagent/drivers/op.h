// The steps of which an attach is made. Values: they are planned, compared and undone as such.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "lib/base/ids.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "nodeagent/drivers/network.h"

namespace multinet::agent::drivers {

/// The pod's link, born in the pod. Undone by deleting the end that stays on the host, or the link
/// itself. FinishLink gives it the name that it is to have, where it was born under another one.
struct CreateLink {
  Place place = Place::Switch;  ///< where the parent is
  std::string parent;           ///< for texts only
  int parentIndex = 0;
  std::string bornAs;  ///< in the pod
  /// The name instead, unique on the host too, where the kernel says that `bornAs` is taken: before
  /// Linux 6.15 it looks a new link's name up in the caller's namespace (__rtnl_newlink). Empty:
  /// none.
  std::string elseAs;
  std::string hostEnd;  ///< name of the end that stays in the switch; empty: none does
  std::string alias;    ///< of the host end
  MacAddress mac;
  unsigned mtu = 0;
  std::uint32_t mode = 0;  ///< the kernel's number, of kinds that have one
  /// Of the type: what is sent. `podNetns` is a descriptor.
  netlink::Request (*request)(const CreateLink& step, int podNetns) = nullptr;
};
/// Removes what stands in the way and is ours: a host end whose pod is gone. Has no undo.
struct DeleteHostLink {
  std::string name;
};
/// Puts a host end back where it belongs: somebody took it out, or the bridge was made anew. Has no
/// undo: it was like that when it was made.
struct SetHostBridge {
  std::string name;
  std::string bridge;  ///< for texts only
  int bridgeIndex = 0;
};
/// A host end that somebody took down. Has no undo, as above.
struct SetHostUp {
  std::string name;
};
/// The MTU of a host end: a smaller one than the pod's drops the pod's large frames without a word.
/// Has no undo, as above.
struct SetHostMtu {
  std::string name;
  unsigned mtu = 0;
};
/// The mark of a host end that somebody removed. Has no undo, as above.
struct MarkHostLink {
  std::string name;
  std::string alias;
};
/// Removes a link of ours that somebody moved out of the pod to the node itself. Has no undo.
struct DeleteStray {
  std::string name;
};
/// Removes a link of ours in the pod whose other end is out of reach: it is made anew. Has no undo.
struct DeletePodLink {
  int index = 0;
  std::string name;
};
/// `net/<family>/conf/<the link>/<key>` in the pod. Goes with the link, so it needs no undo. IPv4's
/// go to the kernel with all that the link gets; IPv6's are files, written before that.
struct WriteSysctl {
  std::string family;  ///< `ipv4`, `ipv6`
  std::string key;
  std::string value;
  bool optional = false;     ///< a kernel without that family has nothing to set
  std::uint16_t number = 0;  ///< IPV4_DEVCONF_* of linux/ip.h, DEVCONF_* of linux/ipv6.h
};
/// A link that is up keeps its name on older kernels (EBUSY); IPv6 addresses and all routes of it
/// go with this step.
struct BringDown {};
/// Final name, mark, MTU. A link that has its name already gets none.
struct FinishLink {
  std::string name;
  std::string alias;
  unsigned mtu = 0;
};
struct SetMac {
  MacAddress mac;
};
/// The kernel's mode of a link that has one (see LinkTraits). Has no undo: it is what was asked
/// for.
struct SetMode {
  std::string kind;
  std::uint32_t mode = 0;
};
/// ARP and groups, for a link that somebody muted. Has no undo, as above.
struct LetSpeak {};
struct AddAddress {
  InterfaceAddress address;
};
struct BringUp {};
/// `linkIndex` 0: of the interface itself; else of another link of the pod.
struct AddRoute {
  netlink::RouteInfo route;
};
struct RemoveRoute {
  netlink::RouteInfo route;
};
struct AddRule {
  netlink::RuleInfo rule;
};

using Action =
    std::variant<DeletePodLink, DeleteStray, DeleteHostLink, SetHostBridge, SetHostUp, SetHostMtu,
                 MarkHostLink, CreateLink, WriteSysctl, BringDown, FinishLink, SetMac, SetMode,
                 LetSpeak, AddAddress, BringUp, AddRoute, RemoveRoute, AddRule>;

struct Op {
  std::string interface;  ///< the name it will have in the pod
  Action action;
};

/// Where a step is done. Steps of one stage go to the kernel together.
enum class Stage { Clear, Host, Sysctl, Configure };
[[nodiscard]] Stage stageOf(const Op& op);
/// For logs and people: `add address 10.20.0.5/16`.
[[nodiscard]] std::string describe(const Op& op);

/// `multinet:<intent>:<interface>`, which an IFLA_IFALIAS carries (at most 255 bytes).
[[nodiscard]] std::string aliasOf(const IntentId& intent, std::string_view interface);
struct AliasParts {
  IntentId intent;
  std::string interface;
};
/// nullopt: the link isn't ours.
[[nodiscard]] std::optional<AliasParts> parseAlias(std::string_view alias);

/// A host-side name of 15 bytes, made of a 60-bit hash: `mnv` and twelve of a-z2-7. `salt` makes
/// another one where two should ever meet.
[[nodiscard]] std::string hostLinkName(const IntentId& intent, std::string_view interface,
                                       unsigned salt);

}  // namespace multinet::agent::drivers
