// Asks the endpoints of this node whether they are healthy, from the gateways of their networks.
//
// One thread, which never waits for an answer: each asking has a socket and a deadline of its own,
// and an endpoint that hangs holds up no other. At most kAsking are under way; who is due then
// comes as soon as one ends.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/async/runner.h"
#include "lib/netns/netns.h"
#include "nodeagent/gateway/checks.h"
#include "nodeagent/gateway/exchange.h"

namespace multinet::agent::gateway {

inline constexpr std::size_t kAsking = 256;

/// What is known of one interface of a pod.
struct Health {
  std::set<std::string> checked;            ///< UIDs of the services that ask
  std::vector<api::InterfaceHealth> found;  ///< verdicts there are, by service
  bool operator==(const Health&) const = default;
};

class Checker {
 public:
  /// Hears of each change, on the thread.
  using Found = std::function<void(const PodUid&, const NetworkUid&, const Health&)>;
  /// Starts the thread, which is in the node's namespace.
  Checker(Found found, const Clock& clock);
  ~Checker() { stop(); }
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  /// All that is to be asked. What was asked before and still is keeps its verdict, also where its
  /// endpoint moved. Any thread; returns at once.
  void follow(std::vector<Check> checks);
  void stop();
  [[nodiscard]] async::LaneHealth health() const { return runner_.health(); }

 private:
  using Key = std::tuple<PodUid, NetworkUid, std::string>;  // the service's UID
  struct One {
    Check check;
    Verdict verdict;
    BootTime due{};
    // While it is asked:
    Fd socket;
    BootTime deadline{};
    bool connected = false;
    std::unique_ptr<Exchange> exchange;  ///< once it is connected
  };

  [[nodiscard]] async::Task wait();
  void turn();
  void takeChecks();
  void begin(One& one);
  void goOn(One& one);
  void connected(One& one);
  void write(One& one);
  void end(One& one, Answer answer);
  void tell(const PodUid& pod, const NetworkUid& network);

  const Found found_;
  const Clock& clock_;
  Fd wake_;
  std::mutex mutex_;  // of the next
  std::optional<std::vector<Check>> incoming_;
  std::atomic<bool> stopping_{false};
  // Of the thread:
  std::optional<netns::Home> home_;
  std::map<Key, One> all_;
  std::map<std::pair<PodUid, NetworkUid>, Health> told_;
  std::size_t asking_ = 0;
  std::vector<One*> ready_;  ///< whose sockets can go on
  async::Runner runner_;     // last: it uses all of the above
};

}  // namespace multinet::agent::gateway
