#include "nodeagent/attach/apply.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"

namespace multinet::agent::attach {
namespace {

using namespace drivers;

/// Calls that pick one alternative of a step.
template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

/// A link whose sandbox just ended still stands on its parent while the kernel takes its namespace
/// apart (cleanup_net). Until then a macvlan of that MAC can't come up, and an ipvlan can't have
/// that address.
constexpr unsigned kHeldTries = 15;
constexpr std::chrono::milliseconds kHeldWait(20);

bool isBusy(const Op* op, const Status& verdict) {
  return op != nullptr && !verdict && verdict.error().code == Code::Unavailable;
}

/// EADDRINUSE, EBUSY before Linux 5.16: macvlan_open and macvlan_sync_address.
bool macIsTaken(const Op* op, const Status& verdict) {
  return isBusy(op, verdict) && (std::holds_alternative<BringUp>(op->action) ||
                                 std::holds_alternative<SetMac>(op->action));
}

/// EADDRINUSE: ipvlan_addr4_validator_event and its sister of IPv6.
bool isHeld(const Op* op, const Status& verdict) {
  return macIsTaken(op, verdict) ||
         (isBusy(op, verdict) && std::holds_alternative<AddAddress>(op->action));
}

/// The code of a verdict that leaves the kernel as the step wanted it; Ok where there is none.
struct DoneCode {
  Code operator()(const AddAddress&) const { return Code::AlreadyExists; }
  Code operator()(const AddRule&) const { return Code::AlreadyExists; }
  Code operator()(const DeleteHostLink&) const { return Code::NotFound; }
  Code operator()(const DeletePodLink&) const { return Code::NotFound; }
  Code operator()(const DeleteStray&) const { return Code::NotFound; }
  Code operator()(const RemoveRoute&) const { return Code::NotFound; }
  Code operator()(const SetHostBridge&) const { return Code::Ok; }
  Code operator()(const SetHostUp&) const { return Code::Ok; }
  Code operator()(const SetHostMtu&) const { return Code::Ok; }
  Code operator()(const MarkHostLink&) const { return Code::Ok; }
  Code operator()(const CreateLink&) const { return Code::Ok; }
  Code operator()(const WriteSysctl&) const { return Code::Ok; }
  Code operator()(const BringDown&) const { return Code::Ok; }
  Code operator()(const FinishLink&) const { return Code::Ok; }
  Code operator()(const SetMac&) const { return Code::Ok; }
  Code operator()(const SetMode&) const { return Code::Ok; }
  Code operator()(const LetSpeak&) const { return Code::Ok; }
  Code operator()(const BringUp&) const { return Code::Ok; }
  Code operator()(const AddRoute&) const { return Code::Ok; }
};

bool alreadyDone(const Op& op, const Error& error) {
  const Code done = std::visit(DoneCode{}, op.action);
  return done != Code::Ok && error.code == done;
}

/// Of sysctls that are set by a request.
std::vector<netlink::InetConf> inetOf(const std::vector<const Op*>& sysctls) {
  std::vector<netlink::InetConf> all;
  for (const Op* op : sysctls) {
    const auto& sysctl = std::get<WriteSysctl>(op->action);
    all.push_back({sysctl.number, static_cast<std::uint32_t>(std::stoul(sysctl.value))});
  }
  return all;
}

Error about(const Op& op, const Error& error) {
  const bool names = std::holds_alternative<CreateLink>(op.action) ||
                     std::holds_alternative<FinishLink>(op.action);
  if (names && error.code == Code::AlreadyExists) return nameTaken(op.interface);
  return error.within("attach interface " + op.interface);
}

}  // namespace

Result<Pod> Pod::open(Fd netns) {
  MULTINET_TRY(const auto home, netns::openHome());
  MULTINET_TRY(Pod pod, open(std::move(netns), home));
  pod.home_ = nullptr;
  return pod;
}

Result<Pod> Pod::open(Fd netns, const netns::Home& home) {
  MULTINET_TRY(const auto target, netns::identity(netns));
  if (target == home.identity) {
    return fail(Code::InvalidArgument, "HostNetns",
                "open pod's network namespace: it is the host's own");
  }
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns, home));
  MULTINET_TRY(auto socket, netlink::Socket::open());
  return Pod(std::move(netns), &home, std::move(socket));
}

Result<netns::Scope> Pod::enter() const {
  return home_ == nullptr ? netns::Scope::enter(netns_) : netns::Scope::enter(netns_, *home_);
}

PresentLinks presentLinks(const Observed& observed, const Desired& desired) {
  PresentLinks present;
  for (const InterfacePlan& interface : desired.interfaces) {
    if (const auto* link = findOurs(observed, desired.intent, interface)) {
      present[interface.name.str()] = {link->index, link->name};
    }
  }
  return present;
}

Applier::Applier(HostSide host, Pod& pod, AbortFlag abort, PresentLinks present, BeforeUp beforeUp)
    : host_(host),
      pod_(pod),
      abort_(std::move(abort)),
      beforeUp_(std::move(beforeUp)),
      present_(std::move(present)) {
  for (const auto& [interface, link] : present_) index_[interface] = link.index;
}

Status Applier::checkAbort() const {
  if (!abort_ || !abort_->load()) return {};
  return fail(Code::Cancelled, "Aborted", "attach: nobody wants it any more");
}

Status Applier::apply(const std::vector<Op>& ops) {
  std::map<Stage, std::vector<const Op*>> stages;
  for (const Op& op : ops) stages[stageOf(op)].push_back(&op);
  if (const auto& clear = stages[Stage::Clear]; !clear.empty()) {
    MULTINET_CHECK(checkAbort());
    MULTINET_CHECK(configure(clear));
  }
  if (const auto& host = stages[Stage::Host]; !host.empty()) {
    MULTINET_CHECK(checkAbort());
    MULTINET_CHECK(failpoint::check("attach.create.before"));
    MULTINET_CHECK(create(host));
    MULTINET_CHECK(failpoint::check("attach.create.after"));
    MULTINET_CHECK(findBorn());
  }
  if (const auto& sysctls = stages[Stage::Sysctl]; !sysctls.empty()) {
    MULTINET_CHECK(checkAbort());
    MULTINET_CHECK(failpoint::check("attach.sysctl.before"));
    MULTINET_CHECK(writeSysctls(sysctls));
    MULTINET_CHECK(failpoint::check("attach.sysctl.after"));
  }
  if (const auto& pod = stages[Stage::Configure]; !pod.empty()) {
    MULTINET_CHECK(checkAbort());
    MULTINET_CHECK(secure());
    MULTINET_CHECK(failpoint::check("attach.configure.before"));
    MULTINET_CHECK(configure(pod));
    MULTINET_CHECK(failpoint::check("attach.configure.after"));
  }
  return checkAbort();
}

/// Rules for a link in the pod go by its name, so it has the one that it keeps.
Status Applier::secure() {
  if (!beforeUp_) return {};
  std::vector<netlink::Request> names;
  for (const auto& [interface, name] : born_) {
    if (name != interface) names.push_back(netlink::relabel(indexOf(interface), {interface}));
  }
  for (const Status& named : pod_.socket().runAll(names)) {
    if (named) continue;
    return fail(named.error().within("attach, name a link as its interface"));
  }
  return beforeUp_(replacedMacs_);
}

Status Applier::create(const std::vector<const Op*>& ops) {
  std::vector<Sent> batch;
  std::vector<Sent> onParents;
  for (const Op* op : ops) {
    MULTINET_TRY(auto made, request(*op));
    const auto* creation = std::get_if<CreateLink>(&op->action);
    const bool onParent = std::holds_alternative<DeleteStray>(op->action) ||
                          (creation != nullptr && creation->place == Place::Node);
    (onParent ? onParents : batch).push_back({op, std::move(made)});
    if (creation == nullptr) continue;
    born_[op->interface] = creation->bornAs;
    if (creation->hostEnd.empty()) continue;
    // In the same send as the creation, so that no crash of ours leaves a link without a mark.
    batch.push_back({nullptr, netlink::setAlias({0, creation->hostEnd}, creation->alias)});
  }
  if (!batch.empty()) MULTINET_CHECK(send(host_.ends, batch));
  return onParents.empty() ? Status{} : send(host_.parents, onParents);
}

Status Applier::findBorn() {
  std::vector<netlink::Request> requests;
  requests.reserve(born_.size());
  for (const auto& [interface, name] : born_) requests.push_back(netlink::getLink({0, name}));
  const std::vector<netlink::Reply> replies = pod_.socket().exchange(requests);
  auto reply = replies.begin();
  for (const auto& [interface, name] : born_) {
    const auto link = (reply++)->and_then(netlink::decodeLink);
    if (!link) return fail(link.error().within("attach interface " + interface));
    index_[interface] = link->index;
    bornInet6_[interface] = link->inet6;
  }
  return {};
}

/// Its namespace may give a new link what it is to have. A write that isn't needed costs more than
/// its time: that of disable_ipv6 doesn't wait for the RTNL lock but tries again and again, and may
/// keep who holds it from the processor (addrconf_sysctl_disable).
bool Applier::isBornWith(const Op& op) const {
  const auto& sysctl = std::get<WriteSysctl>(op.action);
  const auto conf = bornInet6_.find(op.interface);
  return conf != bornInet6_.end() && sysctl.number < conf->second.size() &&
         std::to_string(conf->second[sysctl.number]) == sysctl.value;
}

Status Applier::writeSysctls(const std::vector<const Op*>& ops) {
  std::optional<netns::Scope> scope;
  for (const Op* op : ops) {
    if (isBornWith(*op)) continue;
    if (!scope) {
      MULTINET_TRY(auto entered, pod_.enter());
      scope.emplace(std::move(entered));
    }
    const auto& sysctl = std::get<WriteSysctl>(op->action);
    const auto born = born_.find(op->interface);
    const auto present = present_.find(op->interface);
    const std::string& link = born != born_.end()         ? born->second
                              : present != present_.end() ? present->second.name
                                                          : op->interface;
    const Status written =
        netns::writeSysctl(sysctl.family + "/conf/" + link + "/" + sysctl.key, sysctl.value);
    if (!written && !(sysctl.optional && written.error().code == Code::NotFound)) {
      return fail(about(*op, written.error()));
    }
  }
  return {};
}

Status Applier::configure(const std::vector<const Op*>& ops) {
  std::vector<Sent> batch;
  batch.reserve(ops.size());
  Looks looks;
  for (auto op = ops.begin(); op != ops.end(); ++op) {
    const auto ofLink = [&](const Op* one) { return one->interface == (*op)->interface; };
    if (stageOf(**op) == Stage::Configure) looks.insert((*op)->interface);
    const auto end = std::find_if_not(op, ops.end(), [&](const Op* one) {
      return ofLink(one) && std::holds_alternative<WriteSysctl>(one->action);
    });
    if (end == op) {
      MULTINET_TRY(auto made, request(**op));
      batch.push_back({*op, std::move(made)});
      continue;
    }
    // All in one message, for each tells the whole system of a change.
    netlink::LinkLabel label{.inet = inetOf({op, end})};
    op = end - 1;
    if (end != ops.end() && ofLink(*end)) {
      if (const auto* finish = std::get_if<FinishLink>(&(*end)->action)) {
        label.name = finish->name;
        label.alias = finish->alias;
        label.mtu = finish->mtu;
        op = end;
      }
    }
    batch.push_back({*op, netlink::relabel(indexOf((*op)->interface), label)});
  }
  return send(pod_.socket(), batch, looks);
}

/// Takes the other names where all of the batch are links whose first ones are taken: by a link of
/// the host, as it seems, since the pod had none.
bool Applier::takeOtherNames(std::vector<Sent>& batch) {
  for (Sent& sent : batch) {
    const auto* step = sent.op == nullptr ? nullptr : std::get_if<CreateLink>(&sent.op->action);
    if (step == nullptr || step->elseAs.empty() ||
        sent.verdict.error().code != Code::AlreadyExists ||
        born_[sent.op->interface] == step->elseAs) {
      return false;
    }
    CreateLink other = *step;
    other.bornAs = born_[sent.op->interface] = step->elseAs;
    sent.request = other.request(other, pod_.netns().get());
  }
  return !batch.empty();
}

Status Applier::send(netlink::Socket& socket, const std::vector<Sent>& batch, const Looks& looks) {
  std::vector<Sent> left = batch;
  for (unsigned attempt = 0;; ++attempt) {
    Status sent = sendOnce(socket, left, looks);
    if (takeOtherNames(left)) sent = sendOnce(socket, left, looks);
    const bool held = std::any_of(left.begin(), left.end(),
                                  [](const Sent& one) { return isHeld(one.op, one.verdict); });
    if (!held || attempt > kHeldTries) return sent;
    MULTINET_CHECK(checkAbort());
    if (attempt < kHeldTries) {
      std::this_thread::sleep_for(kHeldWait);
    } else {
      MULTINET_CHECK(freeMac(left));
    }
  }
}

/// Another link keeps the MAC and its namespace is out of reach: the pod's traffic is worth more
/// than the MAC's steadiness.
Status Applier::freeMac(std::vector<Sent>& batch) {
  for (Sent& sent : batch) {
    if (!macIsTaken(sent.op, sent.verdict)) continue;
    const std::string& interface = sent.op->interface;
    MULTINET_TRY(const auto link,
                 netlink::findLink(pod_.socket(), {indexOf(interface), interface}));
    if (link.kind != "macvlan") continue;
    const MacAddress other = MacAddress::derive(link.mac.str() + "#taken");
    log::warn("a link of the same parent keeps the interface's MAC, another one is used",
              {{"interface", interface}, {"mac", link.mac.str()}, {"instead", other.str()}});
    replacedMacs_[interface] = other;
    if (std::holds_alternative<SetMac>(sent.op->action)) {
      sent.request = netlink::setMac({link.index, interface}, other);
    } else {
      MULTINET_CHECK(pod_.socket().run(netlink::setMac({link.index, interface}, other)));
    }
  }
  return beforeUp_ && !replacedMacs_.empty() ? beforeUp_(replacedMacs_) : Status{};
}

/// Leaves in `batch` what has still to be done.
Status Applier::sendOnce(netlink::Socket& socket, std::vector<Sent>& batch, const Looks& looks) {
  std::vector<netlink::Request> requests;
  requests.reserve(batch.size() + looks.size());
  for (const Sent& sent : batch) requests.push_back(sent.request);
  for (const std::string& name : looks) requests.push_back(netlink::getLink({0, name}));
  const std::vector<netlink::Reply> replies = socket.exchange(requests);
  auto reply = replies.begin() + static_cast<std::ptrdiff_t>(batch.size());
  for (const std::string& name : looks) {
    seen_.erase(name);
    const netlink::Reply& one = *reply++;
    if (!one) continue;
    if (auto link = netlink::decodeLink(*one)) seen_.emplace(name, std::move(*link));
  }
  std::vector<Sent> left;
  Status first;
  const Op* op = nullptr;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].op != nullptr) op = batch[i].op;
    const Status verdict = replies[i] ? Status{} : Status(fail(replies[i].error()));
    // No answer: it may have been done, so it is taken back too.
    if (batch[i].op != nullptr && (verdict || verdict.error().code == Code::DeadlineExceeded)) {
      done_.push_back(*op);
    }
    if (verdict || alreadyDone(*op, verdict.error())) continue;
    left.push_back(batch[i]);
    left.back().verdict = verdict;
    if (first) first = fail(about(*op, verdict.error()));
  }
  batch = std::move(left);
  return first;
}

int Applier::indexOf(const std::string& interface) const {
  const auto found = index_.find(interface);
  return found == index_.end() ? 0 : found->second;
}

Result<netlink::Request> Applier::request(const Op& op) const {
  const int index = indexOf(op.interface);
  const auto routed = [&](netlink::RouteInfo route) {
    if (route.linkIndex == 0) route.linkIndex = index;
    return route;
  };
  using Made = Result<netlink::Request>;
  return std::visit(
      Match{
          [](const DeleteHostLink& step) -> Made { return netlink::deleteLink({0, step.name}); },
          [](const SetHostBridge& step) -> Made {
            return netlink::setMaster({0, step.name}, step.bridgeIndex);
          },
          [&](const CreateLink& step) -> Made { return step.request(step, pod_.netns().get()); },
          [](const SetHostUp& step) -> Made { return netlink::setUp({0, step.name}); },
          [](const SetHostMtu& step) -> Made { return netlink::setMtu({0, step.name}, step.mtu); },
          [](const MarkHostLink& step) -> Made {
            return netlink::setAlias({0, step.name}, step.alias);
          },
          [](const DeleteStray& step) -> Made { return netlink::deleteLink({0, step.name}); },
          [](const DeletePodLink& step) -> Made {
            return netlink::deleteLink({step.index, step.name});
          },
          [&](const BringDown&) -> Made { return netlink::setDown({index, op.interface}); },
          [&](const SetMac& step) -> Made {
            return netlink::setMac({index, op.interface}, step.mac);
          },
          [&](const FinishLink& step) -> Made {
            return netlink::relabel(index, {step.name, step.alias, step.mtu});
          },
          [&](const SetMode& step) -> Made {
            return netlink::setMode({index, op.interface}, step.kind, step.mode);
          },
          [&](const LetSpeak&) -> Made { return netlink::setSpeaking({index, op.interface}); },
          [&](const AddAddress& step) -> Made { return netlink::addAddress(index, step.address); },
          [&](const BringUp&) -> Made { return netlink::setUp({index, op.interface}); },
          [&](const AddRoute& step) -> Made { return netlink::addRoute(routed(step.route)); },
          [&](const RemoveRoute& step) -> Made { return netlink::removeRoute(step.route); },
          [&](const AddRule& step) -> Made { return netlink::addRule(step.rule); },
          [&](const WriteSysctl& /*step*/) -> Made {
            return netlink::relabel(index, {.inet = inetOf({&op})});
          }},
      op.action);
}

Undo Applier::undo() const {
  Undo undo;
  const auto made = [&](const Op& op) { return born_.contains(op.interface); };
  for (auto entry = done_.rbegin(); entry != done_.rend(); ++entry) {
    const Op& op = *entry;
    const int index = indexOf(op.interface);
    std::visit(
        Match{[&](const CreateLink& step) {
                if (step.hostEnd.empty()) {
                  undo.pod.push_back(netlink::deleteLink({index, born_.at(op.interface)}));
                } else {
                  undo.hostLinks.push_back(step.hostEnd);
                }
              },
              [&](const AddAddress& step) {
                if (!made(op)) undo.pod.push_back(netlink::removeAddress(index, step.address));
              },
              [&](const AddRoute& step) {
                // Also where its link goes: what it took the place of comes back before that.
                netlink::RouteInfo route = step.route;
                if (route.linkIndex == 0) route.linkIndex = index;
                undo.pod.push_back(netlink::removeRoute(route));
              },
              [&](const RemoveRoute& step) { undo.pod.push_back(netlink::addRoute(step.route)); },
              [&](const AddRule& step) { undo.pod.push_back(netlink::removeRule(step.rule)); },
              // What goes with the link, or was like that when it was made.
              [](const DeletePodLink&) {}, [](const DeleteStray&) {}, [](const DeleteHostLink&) {},
              [](const SetHostBridge&) {}, [](const SetHostUp&) {}, [](const SetHostMtu&) {},
              [](const MarkHostLink&) {}, [](const SetMode&) {}, [](const LetSpeak&) {},
              [](const WriteSysctl&) {}, [](const BringDown&) {}, [](const FinishLink&) {},
              [](const SetMac&) {}, [](const BringUp&) {}},
        op.action);
  }
  return undo;
}

}  // namespace multinet::agent::attach
