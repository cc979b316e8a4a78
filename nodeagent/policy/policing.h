// Holds this node's pods to the policies of their networks: who they are and what the API says of
// them, put together and handed to the kernel before their links are made.
//
// Level-driven: a change says that something is to be looked at. What became of it is found by
// comparing; the kernel is told what differs from what it was told before, or all of a network
// where it refused that. Members of peers that come and go are passed on as they are (decision
// 0133). A network of whose pods some aren't known yet (the agent has just begun, the API server is
// away) stays in the kernel as it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/gather.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/policy/compilation.h"
#include "nodeagent/attach/policies.h"
#include "nodeagent/policy/book.h"
#include "nodeagent/policy/clients.h"
#include "nodeagent/policy/ends.h"
#include "nodeagent/policy/freshness.h"
#include "nodeagent/policy/guard.h"
#include "nodeagent/policy/pod_guards.h"
#include "nodeagent/policy/tracking.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::policing {

/// What the ports of one network are to be held to; those of one node.
struct Wanted {
  policy::Program program;
  std::map<policy::PodKey, std::string> ports;  ///< names of the node's ends
  std::set<std::string> gateways;               ///< likewise, of the node's gateway
  api::TrackConnections track = api::TrackConnections::Auto;
};
/// What holds them. Of one network: the whole of it; an error leaves what was.
struct Kernel {
  std::function<Status(const NetworkUid&, const std::string& bridge, Wanted)> commit;
  std::function<void(const NetworkUid&)> forget;
  /// Of one that was committed and not forgotten or refused since: what differs, as PolicyGuard has
  /// it. Nothing: all is committed each time.
  std::function<Status(const NetworkUid&, const std::string& bridge, const PolicedChange&)>
      change{};

  // In pods, of links without an end on the node; as PodGuards has it.
  std::function<std::map<policy::PodKey, Error>(const NetworkUid&, const policy::Program&,
                                                const policy::AddressChange*, const InPods&)>
      commitInPods{};
  std::function<Status(const attach::PodPort&)> linked{};
  std::function<void(const attach::PodPort&)> leave{};
  /// How full the table of flows is; nothing where none is needed.
  std::function<std::optional<FlowTable>()> flows{};
  /// Why what was committed isn't there, as of now; asked while anything is isolated.
  struct Troubles {
    std::optional<Error> ports{};           ///< of all that are at the node's ends
    std::map<std::string, Error> inPods{};  ///< by PodPort::name
    bool operator==(const Troubles&) const = default;
  };
  std::function<Troubles()> troubles{};
};

struct PolicingOptions {
  /// A burst is one change.
  Duration gather = std::chrono::milliseconds(10);
  /// How long a pod waits for the rest of what its policies say.
  Duration joinPatience = std::chrono::seconds(1);
  /// How long the namespace that speaks for a policy of the cluster may be told less than others.
  Duration speakerPatience = std::chrono::seconds(1);
  /// How long running pods wait for it, where a policy is new.
  Duration patience = std::chrono::seconds(5);
  /// What the kernel refused is tried again, and what it lost is heard of.
  Duration retry = std::chrono::seconds(1);
  /// As long as it takes to tell whom it is about that the kernel refuses. After that others don't
  /// wait for it any more.
  Duration refusalIsTold = std::chrono::seconds(5);
  /// Links in pods that an earlier agent made are met again, as each pod is looked at. So long they
  /// are waited for.
  Duration meeting = std::chrono::seconds(30);
  /// How often the table of flows is looked at.
  Duration flowsEvery = std::chrono::seconds(10);
  /// Of which network's gateway an intent is; no policy is about its ports, but its health checks
  /// pass. nullopt: of a pod.
  std::function<std::optional<NetworkUid>(const IntentId&)> gatewayOf = [](const IntentId&) {
    return std::optional<NetworkUid>();
  };
  /// Addresses of this node's gateways that are there, in whatever namespaces; looked for once, on
  /// the lane.
  std::function<std::map<NetworkUid, std::set<IpAddress>>()> gatewaysThere = [] {
    return std::map<NetworkUid, std::set<IpAddress>>();
  };
};

/// What is held here.
struct PolicingCounts {
  std::size_t policies = 0;     ///< that were told, of namespaces with pods here
  std::size_t isolated = 0;     ///< interfaces that a policy or a default is about
  std::size_t pending = 0;      ///< of those: not all whom they may speak with are known
  std::size_t undoable = 0;     ///< of those: held in the pod, which can undo it
  std::size_t notEnforced = 0;  ///< of those: nothing holds them to it, or not to all of it
  std::uint64_t compiled = 0;   ///< networks, since the start
  bool stale = false;           ///< nothing was heard of policies for minutes; what was told holds
};

/// What there is to say of the node.
struct NodePolicies {
  bool any = false;                ///< whether any interface here is to be isolated
  std::optional<Error> trouble{};  ///< why that fails
  /// Nothing is heard of policies while the API server answers otherwise.
  bool isSilent = false;
  /// The table of flows, as it was when it came to be nearly full; till it has room again.
  std::optional<FlowTable> crowded{};
};

/// Hears of each change; on any thread, must not block.
struct PolicingReports {
  /// What an interface's policies came to; nothing: none is about it.
  std::function<void(const PodUid&, const NetworkUid&, const std::optional<api::InterfacePolicy>&)>
      interface;
  /// The resourceVersion up to which every head that was told is committed.
  std::function<void(std::uint64_t)> revision;
  std::function<void(const NodePolicies&)> node;
  /// What clients of gateways are admitted to is another, or known now.
  std::function<void()> admissions = [] {};
};

/// All it is given outlives it.
class Policing final : public attach::Policies {
 public:
  /// `ends` looks into the kernel once, on the lane.
  Policing(watch::Caches& caches, Kernel kernel, std::function<Result<Ends>()> ends,
           PolicingReports reports, const Clock& clock, PolicingOptions options);
  ~Policing() override { stop(); }
  Policing(const Policing&) = delete;
  Policing& operator=(const Policing&) = delete;

  /// What Caches shows changed. Any thread; returns at once.
  void changed() { gather_.ask(); }
  /// Before what it was given goes. The kernel's rules stay.
  void stop() { lane_.stop(); }
  [[nodiscard]] const async::Lane& lane() const { return lane_; }
  /// As of the last look. Any thread.
  [[nodiscard]] PolicingCounts counts() const;
  /// Whom the network's isolated interfaces admit of clients who aren't on it; null: that isn't
  /// known yet. Looked for from when it is first asked for. Any thread.
  [[nodiscard]] std::shared_ptr<const Admissions> admissions(const NetworkUid& network);

  void join(attach::Policeable pod, async::Answer<void> done) override;
  void known(attach::Policeable pod) override;
  void recovered() override;
  [[nodiscard]] Status hold(const IntentId& intent, const std::vector<isolation::Port>& ports,
                            const std::vector<attach::PodPort>& inPod) override;
  [[nodiscard]] Status linked(const IntentId& intent) override;
  void release(const std::vector<std::string>& names,
               const std::vector<IntentId>& intents) override;

 private:
  struct Member {
    attach::Policeable pod;
    BootTime joined{};  ///< when its links were about to be made; of an earlier agent's: never
    bool ours = false;  ///< it joined while this agent ran
    /// The API had it, and has it no more: deleted by force, it ends in its time.
    bool gone = false;
    std::optional<std::string> undoer{};        ///< its container that may change its network
    std::optional<policy::Pod> who{};           ///< as the API last had it
    std::shared_ptr<const k8s::Pod> read{};     ///< of which that is
    std::map<std::string, policy::Pod> as{};    ///< who, as policies select each of its interfaces
    std::map<std::string, std::string> ends{};  ///< names of ports, by interface
    std::map<std::string, attach::PodPort> inPod{};  ///< those of them that are in the pod
  };
  /// A port that is to be held, wherever it is.
  struct End {
    std::string interface;
    std::string name;
    NetworkUid network;
    const attach::PodPort* inPod = nullptr;
  };
  /// An interface of a pod's sandbox.
  using At = std::pair<IntentId, std::string>;
  /// What a network's admin wrote that its pods are held to.
  struct Written {
    api::DefaultPolicy byDefault = api::DefaultPolicy::Allow;
    api::TrackConnections track = api::TrackConnections::Auto;
    /// No pod can send from another's address.
    bool believesAddresses = false;
    bool operator==(const Written&) const = default;
  };
  /// The default that an admin has changed, which holds till it is told who is of each namespace.
  struct Former {
    api::DefaultPolicy byDefault = api::DefaultPolicy::Allow;
    BootTime until{};
  };
  /// Each namespace is told of a policy of the cluster, and whom its peers are in all of them
  /// alike. So that a member that comes is one change, on a network one namespace's word counts for
  /// all.
  struct Speaker {
    std::string nameSpace;
    bool isForAll = false;               ///< none has another generation
    std::optional<BootTime> since{};     ///< since then another namespace was told more
    std::optional<std::string> after{};  ///< that one is to speak: this one had its time
  };
  /// One network, as it was last compiled.
  struct Network {
    std::string name;
    std::string bridge;
    bool dirty = true;
    std::optional<Error> trouble{};  ///< of its last commit
    std::map<At, Error> refused{};   ///< in pods
    /// What was told is compiled, and the kernel takes it nowhere or not everywhere: it is dirty
    /// too, to be tried again. Those that it is about are told so themselves.
    std::optional<BootTime> refusedSince{};
    std::optional<Former> former{};
    policy::Compilation compilation{};
    api::TrackConnections track = api::TrackConnections::Auto;  ///< as it was last held
    bool isHeld = false;  ///< the kernel has that program, for these
    std::map<policy::PodKey, std::string> ports{};
    std::set<std::string> gateways{};
    InPods inPods{};
    std::shared_ptr<const Admissions> admissions{};            ///< null: never compiled
    std::map<At, std::optional<api::InterfacePolicy>> said{};  ///< of those of which anything was
    std::map<std::string, Speaker> speakers{};  ///< by UID of a policy of the cluster
  };
  struct Joining {
    attach::Policeable pod;
    bool ours = false;
    std::optional<async::Answer<void>> done{};
  };
  struct Waiting {
    IntentId intent;
    BootTime until;
    async::Answer<void> done;
  };
  /// What compile() is asked of a network; it holds what that points to.
  struct Question;

  void put(Joining joining);
  /// Does it in its turn, and then answers, without a lock, who waited for what came of it.
  template <class Work>
  void inTurn(Work work);
  // All below: under turn_.
  void work();
  void takeInbox();
  void refresh();
  [[nodiscard]] static bool isYetToBeHeld(const Member& member, const InterfacePlan& plan);
  void readPod(Member& member, const std::shared_ptr<const k8s::Pod>& pod);
  [[nodiscard]] static policy::Pod& podOn(Member& member, const InterfacePlan& plan);
  [[nodiscard]] bool readPolicies(const std::string& space, BootTime now);
  void hearSpeakers(BootTime now);
  void readNetworks();
  void forgetUnseen(const attach::Policeable& seen);
  void findEnds();
  void claimEnds(Member& member);
  [[nodiscard]] const Member* mayHave(const At& at) const;
  void dirtyOf(const Member& member);
  void commitDirty();
  [[nodiscard]] Status isKnown(const Member& member) const;
  /// Whether it was told which policies of the cluster select the namespace of a pod that joins.
  [[nodiscard]] Status isInLedgers(const Member& member) const;
  /// Whether none of its networks is open still, whose default was changed to its namespace.
  [[nodiscard]] Status isPastFormer(const Member& member) const;
  [[nodiscard]] api::DefaultPolicy defaultOf(const NetworkUid& uid, Network& network,
                                             const Question& question);
  /// Whether all that is needed of a network is; else it stays as it is.
  [[nodiscard]] Status isKnown(const NetworkUid& uid, const Network& network) const;
  [[nodiscard]] Written writtenOf(const NetworkUid& uid) const;
  /// `pod`: the member, as policies select that interface.
  [[nodiscard]] bool isComplete(const Member& member, const policy::Pod& pod,
                                const InterfacePlan& plan) const;
  /// Whether a policy of the cluster names the network.
  [[nodiscard]] bool isOfCluster(const std::string& network) const;
  [[nodiscard]] Question questionOf(const NetworkUid& uid, Network& network);
  [[nodiscard]] Status commit(const NetworkUid& uid, Network& network);
  [[nodiscard]] Status commitPorts(const NetworkUid& uid, Network& network,
                                   const policy::AddressChange& since);
  void follow(const NetworkUid& uid, Network& network, const policy::MemberChange& change);
  void admit(const NetworkUid& uid, Network& network, const Question& question,
             const policy::Network& asked);
  void publishAdmissions();
  void say(Network& network, const Question& question);
  [[nodiscard]] api::InterfacePolicy judge(const Network& network, const Member& member,
                                           const policy::Pod& pod, const InterfacePlan& plan,
                                           bool isCut) const;
  void putGateway(const NetworkUid& network, const std::string& port);
  void putGateway(const attach::PodPort& port);
  void releaseGateway(const NetworkUid& network);
  [[nodiscard]] const Error* refusalOf(const Network& network, const At& at) const;
  [[nodiscard]] const Error* troubleOf(const Network& network, const At& at) const;
  void commitInPods(const NetworkUid& uid, Network& network, Question& question,
                    const policy::AddressChange& since);
  [[nodiscard]] Status holdNow(const IntentId& intent, const std::vector<End>& ends);
  void letGo(Member& member, const std::function<bool(const std::string&)>& isGone);
  [[nodiscard]] bool isUnmet(const Network& network, const NetworkUid& uid) const;
  void releaseNow(const std::vector<std::string>& names, const std::vector<IntentId>& intents);
  void answerWaiting();
  void tell();
  void watchKernel();
  void lookAtAge();
  void lookAtFlows();
  [[nodiscard]] std::uint64_t revision() const;
  void lookAt(BootTime when);

  watch::Caches& caches_;
  const Kernel kernel_;
  const std::function<Result<Ends>()> findEnds_;
  const PolicingReports reports_;
  const Clock& clock_;
  const PolicingOptions options_;
  mutable std::mutex mutex_;  // of the next seven
  std::vector<Joining> inbox_;
  std::map<IntentId, attach::Policeable> heard_;  ///< of these, as they were told last
  bool allKnown_ = false;
  PolicingCounts counts_;
  std::map<NetworkUid, std::shared_ptr<const Admissions>> admissions_;  ///< null: not known yet
  bool admissionsKnown_ = false;  ///< of networks that aren't there: nobody of them is isolated
  std::set<NetworkUid> asked_;    ///< whose admissions somebody wants
  std::mutex turn_;               // of all that follows but the last two
  Book book_;
  policy::Numbers numbers_;
  std::map<IntentId, Member> members_;
  std::vector<Waiting> waiting_;
  std::vector<std::function<void()>> answers_;  ///< that are due
  std::map<NetworkUid, Network> networks_;
  Ends unclaimed_;  ///< of an earlier agent's, but of whom, or of which network, nobody knows
  std::map<NetworkUid, std::set<std::string>> gateways_;        ///< names of the node's ends
  std::map<NetworkUid, std::set<IpAddress>> gatewayAddresses_;  ///< of those, and of others
  std::map<NetworkUid, Written> written_;
  bool recovered_ = false;
  BootTime metBy_{};       ///< see PolicingOptions::meeting
  bool areApart_ = false;  ///< namespaces may have been told otherwise than those that speak
  std::uint64_t compiled_ = 0;
  std::uint64_t toldRevision_ = 0;
  std::optional<BootTime> lookAt_;
  Kernel::Troubles troubles_;
  bool isWatched_ = false;  ///< the kernel is to be asked for those
  BootTime flowsAt_{};      ///< when the table of flows is looked at again
  std::optional<FlowTable> crowded_;
  Freshness freshness_;
  async::Gather gather_;
  async::Lane lane_;
};

template <class Work>
void Policing::inTurn(Work work) {
  std::vector<std::function<void()>> answers;
  {
    const std::lock_guard turn(turn_);
    work();
    answers.swap(answers_);
  }
  for (const auto& answer : answers) answer();
}

}  // namespace multinet::agent::policing
