// Keeps gateways on this node as its services need them: one for each network that has a service
// which clients who aren't on the network may reach.
//
// Level-driven: whatever changed, services are compared with gateways. All that a gateway is stands
// in the kernel (its namespace under a path, its port with the intent in its alias), and a
// successor adopts it from there: no other record is kept that could say otherwise. The addresses
// of its port are held for its intent like a pod's; recovery finds them in the kernel, as it finds
// those of pods that no journal knows. While no agent runs the rules go on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/async/gather.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/gateway/checks.h"
#include "nodeagent/gateway/local_health.h"
#include "nodeagent/gateway/passage.h"
#include "nodeagent/gateway/room.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::gateway {

/// The intent of a gateway's port: `gateway-<uid>`.
[[nodiscard]] IntentId intentOf(const NetworkUid& network);
/// Of which network's gateway it is; nothing: of none.
[[nodiscard]] std::optional<NetworkUid> networkOf(const IntentId& intent);

/// What the port of each gateway in the directory has, as the kernel says it; of those that can't
/// be looked into nothing.
[[nodiscard]] std::map<NetworkUid, std::set<IpAddress>> addressesIn(const std::string& directory,
                                                                    attach::AttachEngine& engine);

/// Networks, by name, whose services need a gateway here whether or not pods of theirs run here.
/// Pure.
[[nodiscard]] std::set<std::string> networksWithOpenServices(const watch::Caches& caches);

/// What addresses::Addresses does for a gateway.
struct AddressSource {
  std::function<void(IntentId, PodUid, std::vector<addresses::AddressRequest>, BootTime deadline,
                     async::Answer<std::vector<addresses::Claimed>>)>
      claim;
  std::function<void(IntentId)> release;
};

/// What the node has of its networks now.
using NetworksNow = std::function<std::shared_ptr<const networks::Snapshot>()>;

struct KeeperOptions {
  NodeName node;
  std::string directory;  ///< where gateways' namespaces are kept
  /// A burst is one change.
  Duration gather = std::chrono::milliseconds(20);
  /// What somebody took away is put back.
  Duration again = std::chrono::seconds(10);
  /// What couldn't be had is tried again.
  Duration retry = std::chrono::milliseconds(500);
  /// The same of addresses: others hold them for long.
  Duration retryAddresses = std::chrono::seconds(30);
  /// How long a gateway stays that no service needs.
  Duration idle = std::chrono::minutes(10);
  /// For so long after a start the node's rules stay as they are while a gateway that is needed is
  /// still to be adopted.
  Duration adoptWithin = std::chrono::seconds(30);
  Duration claimPatience = std::chrono::seconds(20);
  /// Whom this node's endpoints on a network admit; null: that isn't known yet, and until then, as
  /// long as adoptWithin has it, everything stays as it is.
  std::function<std::shared_ptr<const policing::Admissions>(const NetworkUid&)> admissions =
      [](const NetworkUid&) { return std::make_shared<const policing::Admissions>(); };
  /// Hears, on the lane, of a gateway that is gone, before others may have its addresses.
  std::function<void(const NetworkUid&)> gone = [](const NetworkUid&) {};
};

/// Why a gateway isn't there, or nobody comes to it.
struct Trouble {
  std::string network;
  Error error;
};

/// All it is given outlives it.
class Keeper {
 public:
  /// Hears, on the lane, of each look: of which networks there is no gateway that is needed, and
  /// whether any gateway is there or needed.
  using Report = std::function<void(const std::vector<Trouble>& troubles, bool any)>;
  /// Hears, likewise, of all endpoints whose health is to be asked.
  using CheckThem = std::function<void(std::vector<Check>)>;
  /// And of all healthCheckNodePorts.
  using ServeThem = std::function<void(std::vector<LocalService>)>;
  /// The calling thread is in the node's namespace.
  Keeper(const watch::Caches& caches, NetworksNow networks, AddressSource addresses,
         attach::AttachEngine& engine, Report report, CheckThem check, ServeThem serve,
         const Clock& clock, KeeperOptions options);
  ~Keeper() { stop(); }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  /// Services, their endpoints, networks or what the node has of them changed. Any thread; returns
  /// at once.
  void changed() { gather_.ask(); }
  /// Before what it was given goes. The kernel's state stays; what is under way may be answered
  /// later.
  void stop() { lane_->stop(); }
  [[nodiscard]] const async::Lane& lane() const { return *lane_; }
  /// How many gateways are there. Any thread.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }
  /// How often a network's services were read anew. Any thread.
  [[nodiscard]] std::uint64_t reads() const {
    const std::lock_guard lock(mutex_);
    return reads_;
  }

 private:
  using Ways = std::vector<Way>;
  enum class Port { Absent, UnderWay, There };
  /// One network's gateway.
  struct Gateway {
    std::string network;  ///< its name
    unsigned number = 0;  ///< of its pair
    bool kept = false;    ///< an earlier agent left something of it
    std::optional<Room> room;
    std::shared_ptr<const Fd> door{};  ///< the namespace, for whoever asks from there
    bool seen = false;                 ///< what is in the namespace is known
    Port port = Port::Absent;
    std::vector<InterfacePlan> plans;  ///< of its port, once it has addresses
    bool hasIpv6 = false;
    bool ready = false;  ///< all of it is there
    WayPorts ports;
    bool hasUdp = false;  ///< or had, before the last change
    std::vector<Way> ways;
    std::shared_ptr<const Ways> from{};  ///< what they were read as
    bool follows = false;                ///< its rules are those of `ways`
    BootTime lookAt{};                   ///< when it is compared with the kernel, or tried, again
    BootTime neededUntil{};              ///< once no service needs it
    std::optional<Error> trouble;
    std::map<IpFamily, Passage> passages;  ///< of families that a way is of
    BootTime askAt{};                      ///< them, again
  };
  /// What a network's services came to, for as long as they are the same objects: endpoints of one
  /// network change without a look at those of others.
  struct Read {
    std::vector<watch::Caches::Service> services;
    std::vector<std::shared_ptr<const k8s::Pod>> pods;  ///< where any is checked
    std::string zone;
    std::shared_ptr<const policing::Admissions> admissions;
    std::shared_ptr<const Ways> ways;
    std::vector<Check> checks;
    std::vector<LocalService> locals;
  };
  struct Needs {
    std::map<NetworkUid, std::shared_ptr<const Ways>> ways;
    std::map<NetworkUid, std::vector<Check>> checks;
    std::vector<LocalService> locals;
    std::vector<Way> closed;           ///< of networks that nobody here is on
    std::vector<IpAddress> addresses;  ///< of all services
  };

  void work();
  [[nodiscard]] Status begin();
  /// Nothing where not all is known yet.
  [[nodiscard]] std::optional<Needs> needs();
  [[nodiscard]] const Read& read(const NetworkUid& uid,
                                 std::vector<watch::Caches::Service> services,
                                 const std::vector<std::shared_ptr<const k8s::Pod>>& pods,
                                 const std::shared_ptr<const policing::Admissions>& admissions,
                                 const Place& place);
  void follow(const Needs& needs);
  void keep(const NetworkUid& uid, Gateway& gateway);
  [[nodiscard]] Status build(const NetworkUid& uid, Gateway& gateway);
  [[nodiscard]] Status adopt(const NetworkUid& uid, Gateway& gateway);
  void claim(const NetworkUid& uid, Gateway& gateway);
  void attach(const NetworkUid& uid, Gateway& gateway);
  void detach(const NetworkUid& uid, Gateway& gateway);
  [[nodiscard]] bool remove(const NetworkUid& uid, Gateway& gateway);
  void troubled(Gateway& gateway, const Error& error);
  [[nodiscard]] Result<InterfacePlan> planOf(const NetworkUid& uid, const Gateway& gateway) const;
  [[nodiscard]] std::vector<ipam::Subnet> subnetsOf(const Gateway& gateway) const;
  [[nodiscard]] std::optional<unsigned> freeNumber() const;
  [[nodiscard]] bool isSettled(const Needs& needs) const;
  [[nodiscard]] Status commit(const Needs& needs);
  void askPassages();
  [[nodiscard]] Status askPassage(const NetworkUid& uid, Gateway& gateway, IpFamily family);
  void tell(const Needs& needs);
  void check(Needs& needs);
  void endFlows(Gateway& gateway);
  void endFlows(const std::vector<Opened>& opened);
  void lookAgain();
  template <class T, class Next>
  [[nodiscard]] async::Answer<T> onLane(Next next);

  const watch::Caches& caches_;
  const NetworksNow networks_;
  const AddressSource addresses_;
  attach::AttachEngine& engine_;
  const Report report_;
  const CheckThem check_;
  const ServeThem serve_;
  const Clock& clock_;
  const KeeperOptions options_;
  mutable std::mutex mutex_;  // of the next two
  std::size_t size_ = 0;
  std::uint64_t reads_ = 0;
  // Of the lane:
  std::optional<netlink::Socket> node_;
  std::optional<nft::TableKeeper> rules_;
  std::map<NetworkUid, Gateway> gateways_;
  std::map<NetworkUid, Read> read_;
  std::optional<Error> trouble_;  ///< of the node's own side
  BootTime settledBy_{};
  bool hasUdp_ = false;  ///< as Gateway has it
  bool looksAgain_ = false;
  BootTime admissionsBy_{};  ///< when nobody waits for them any more
  bool waitsForAdmissions_ = false;
  std::shared_ptr<async::Lane> lane_;  ///< also of answers that come when nobody is here any more
  async::Gather gather_;
};

}  // namespace multinet::agent::gateway
