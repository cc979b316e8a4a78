// What policies cost: a round trip between two pods with few and with many peers; an agent's whole
// way of a peer more and of an attach; rules in a pod; a restart; memory. Prints a line of JSON for
// each measurement, of memory in MiB in place of milliseconds:
// {"case": "100000 peers", "what": "round trips", "round": 0, "milliseconds": 9.41}.
//
// To be run as root. All of it is in namespaces that the program makes and that end with it.
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/in_turn.h"
#include "bench/policy_node.h"
#include "bench/traffic.h"
#include "lib/base/log.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/policy/guard.h"
#include "nodeagent/policy/pod_guards.h"
#include "nodeagent/policy/tracking.h"

namespace multinet::bench {
namespace {

using agent::policing::Policed;
using agent::policing::PolicyGuard;

struct Arguments {
  int rounds = 60;
  int seconds = 60;
  int roundTrips = 2000;
};

constexpr int kWarmUp = 4;
constexpr unsigned kPorts = 100;  ///< isolated ones on the node
constexpr std::uint16_t kPort = 7777;
const NetworkUid kNetwork("bench");
const char* const kBridge = "br-bench";
/// Where no sender is held to a share of the table of flows.
const std::string kTracking = "tracking alone";
const std::string kNoShares = "100 peers, no shares";
constexpr unsigned kLoaded = 10'000;  ///< peers of what is measured with one number of them
constexpr policy::Number kSubject = 1;
constexpr policy::Number kPeers = 2;

IpAddress addressOf(unsigned number) {
  constexpr unsigned kTen = 10U << 24U;
  return {IpFamily::V4, kTen + number};
}
std::string portOf(unsigned number) {
  return PolicyNode::portOf(number);
}
MacAddress macOf(unsigned number) {
  return MacAddress::parse("02:00:00:00:00:0" + std::to_string(number)).value_or(MacAddress{});
}

/// The first `ports` of the node's pods, isolated, which a hundredth, or all, of the cluster may
/// speak to.
Policed wanted(unsigned ports, unsigned peers) {
  Policed out;
  for (unsigned i = 1; i <= ports; ++i) {
    const policy::PodKey pod{"bench", "pod-" + std::to_string(i)};
    out.ports[pod] = portOf(i);
    out.program.ingress[pod] = kSubject;
  }
  // The node's own pods, and others with a gap behind each.
  for (unsigned i = 1; i <= ports; ++i) {
    out.program.addresses.put({addressOf(i), addressOf(i)}, kPeers);
  }
  for (unsigned i = 0; i < peers; ++i) {
    const IpAddress peer = addressOf(1000 + 2 * i);
    out.program.addresses.put({peer, peer}, kPeers);
  }
  out.program.permits = {{kSubject, kPeers, api::Protocol::UDP, 1, 65535},
                         {kSubject, kPeers, api::Protocol::TCP, 1, 65535}};
  return out;
}

/// A switch with two pods on a bridge, held to what pods may send.
class Site {
 public:
  static Result<std::unique_ptr<Site>> make(agent::policing::PolicyGuardOptions options) {
    auto site = std::make_unique<Site>();
    MULTINET_TRY(auto netns, netns::make());
    site->netns_ = std::move(netns);
    {
      MULTINET_TRY(const auto scope, netns::Scope::enter(*site->netns_));
      MULTINET_TRY(auto socket, netlink::Socket::open());
      for (const char* what : {"iptables", "ip6tables", "arptables"}) {
        static_cast<void>(netns::writeSysctl(std::string("bridge/bridge-nf-call-") + what, "0"));
      }
      MULTINET_CHECK(socket.run(netlink::createBridge({kBridge, macOf(9), 1500})));
      MULTINET_CHECK(socket.run(netlink::setUp({0, kBridge})));
    }
    MULTINET_TRY(site->ports_, agent::isolation::PortGuard::start(site->netns_, {}, kSystemClock));
    MULTINET_TRY(site->policies_,
                 PolicyGuard::start(site->netns_, std::move(options), kSystemClock));
    for (unsigned i = 1; i <= 2; ++i) MULTINET_CHECK(site->plug(i));
    return site;
  }
  [[nodiscard]] const Fd& pod(unsigned number) const { return pods_.at(number - 1); }
  [[nodiscard]] const Fd& netns() const { return *netns_; }
  [[nodiscard]] PolicyGuard& policies() { return *policies_; }
  /// Has the kernel track connections on the bridge, with no rule but one that needs it.
  Status track() {
    MULTINET_TRY(const auto scope, netns::Scope::enter(*netns_));
    MULTINET_TRY(auto committer, nft::Committer::open());
    MULTINET_TRY(auto links, netlink::Socket::open());
    const bool isOfBridges =
        agent::policing::findTracking(committer) == agent::policing::Tracking::Bridge;
    const std::string family = isOfBridges ? "bridge" : "inet";
    MULTINET_CHECK(
        committer.commit("add table " + family + " alone\nadd chain " + family +
                         " alone seen { type filter hook prerouting priority 0; }\nadd rule " +
                         family + " alone seen ct state invalid drop\n"));
    if (isOfBridges) return {};
    return agent::policing::setTracked(links, kBridge, netlink::CallsInet::Yes);
  }
  /// Another agent's guard in place of this one, which keeps what is of links that are there.
  Status restart() {
    {
      MULTINET_TRY(const auto scope, netns::Scope::enter(*netns_));
      MULTINET_TRY(auto socket, netlink::Socket::open());
      for (unsigned i = 3; i <= kPorts; ++i) {
        MULTINET_CHECK(socket.run(netlink::createBridge({portOf(i), macOf(9), 1500})));
      }
    }
    policies_.reset();
    MULTINET_TRY(policies_, PolicyGuard::start(netns_, {}, kSystemClock));
    return {};
  }

 private:
  Status plug(unsigned number) {
    MULTINET_TRY(auto pod, netns::make());
    agent::isolation::Port port{portOf(number), IntentId("pod-" + std::to_string(number)),
                                "net1",         kNetwork,
                                macOf(number),  {addressOf(number)}};
    MULTINET_CHECK(ports_->secure({port}));
    {
      MULTINET_TRY(const auto scope, netns::Scope::enter(*netns_));
      MULTINET_TRY(auto socket, netlink::Socket::open());
      MULTINET_TRY(const auto bridge, netlink::findLink(socket, {0, kBridge}));
      netlink::VethSpec spec;
      spec.hostName = portOf(number);
      spec.bridgeIndex = bridge.index;
      spec.peerName = "net1";
      spec.peerNetns = pod.get();
      spec.peerMac = macOf(number);
      spec.mtu = 1500;
      MULTINET_CHECK(socket.run(netlink::createVeth(spec)));
    }
    MULTINET_TRY(const auto scope, netns::Scope::enter(pod));
    MULTINET_TRY(auto socket, netlink::Socket::open());
    MULTINET_CHECK(socket.run(netlink::setUp({0, "net1"})));
    MULTINET_TRY(const auto link, netlink::findLink(socket, {0, "net1"}));
    MULTINET_TRY(const auto address, InterfaceAddress::parse(addressOf(number).str() + "/8"));
    MULTINET_CHECK(socket.run(netlink::addAddress(link.index, address)));
    pods_.push_back(std::move(pod));
    return {};
  }

  std::optional<Fd> netns_;
  std::unique_ptr<agent::isolation::PortGuard> ports_;
  std::unique_ptr<PolicyGuard> policies_;
  std::vector<Fd> pods_;
};

struct Contender {
  std::string name;
  unsigned peers = 0;  ///< 0: no policy
  std::unique_ptr<Site> site;
};

void print(const std::string& name, const char* what, int round, double took) {
  std::cout << nlohmann::json{{"case", name},
                              {"what", what},
                              {"round", round},
                              {"milliseconds", took}}
                   .dump()
            << '\n'
            << std::flush;
}

Status execute(const std::string& command) {
  // As those do it whom this is compared with. NOLINTNEXTLINE(bugprone-command-processor)
  if (std::system(command.c_str()) == 0) return {};
  return fail(Code::Internal, "Failed", "execute " + command);
}

/// A table as large as kube-proxy's on a large cluster, over and over, by a process of its own.
Status commitMany(const Fd& netns, const std::atomic<bool>& ends, std::atomic<int>& commits) {
  constexpr unsigned kElements = 200'000;
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  std::string path = "/tmp/multinet-bench-XXXXXX";
  const Fd file(::mkstemp(path.data()));
  {
    std::ofstream text(path);
    text << "add table inet many\ndelete table inet many\ntable inet many {\nset members {\n"
         << "type ipv4_addr\nelements = {";
    for (unsigned i = 0; i < kElements; ++i) text << addressOf(i).str() << ",\n";
    text << "10.255.255.255 }\n}\n}\n";
  }
  Status done;
  while (done && !ends) {
    done = execute("nft -f " + path);
    ++commits;
  }
  ::unlink(path.c_str());
  return done;
}

/// Of a file with lines as `Slab:  123 kB`.
double mebibytesOf(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    double kilobytes = 0;
    constexpr double kMebi = 1024;
    if (word == name && file >> kilobytes) return kilobytes / kMebi;
  }
  return 0;
}
/// What no process has: slabs, but for those that only remember files, per-CPU areas, large
/// allocations. All of the machine's: the kernel charges nobody for the buckets of a set.
double kernelMebibytes() {
  // What was removed goes a moment later.
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return mebibytesOf("/proc/meminfo", "SUnreclaim:") + mebibytesOf("/proc/meminfo", "Percpu:") +
         mebibytesOf("/proc/meminfo", "VmallocUsed:");
}
/// What is in use; the allocator keeps more than that of what was.
double usedMebibytes() {
  constexpr double kMebi = 1 << 20;
  const auto heap = ::mallinfo2();
  return static_cast<double>(heap.uordblks + heap.hblkhd) / kMebi;
}
double residentMebibytes() {
  return mebibytesOf("/proc/self/status", "RssAnon:");
}

Status measureTrips(const Arguments& arguments, const std::vector<Contender>& contenders) {
  std::vector<Conversation> conversations;
  for (const Contender& each : contenders) {
    MULTINET_TRY(auto opened, Conversation::open(each.site->pod(1), each.site->pod(2),
                                                 addressOf(2).str(), kPort));
    conversations.push_back(std::move(opened));
  }
  const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), kWarmUp};
  return inTurn(
      contenders.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
        MULTINET_TRY(const double took, conversations[which].roundTrips(arguments.roundTrips));
        if (round) print(contenders[which].name, "round trips", *round, took);
        return {};
      });
}

/// Connections, each made, accepted and broken off, one after the other on one processor.
class Connections {
 public:
  static Result<Connections> open(const Fd& from, const Fd& to) {
    Connections made;
    made.from_ = &from;
    MULTINET_TRY(const auto scope, netns::Scope::enter(to));
    made.listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in all = at("0.0.0.0");
    const int done =
        ::bind(made.listener_.get(), reinterpret_cast<const sockaddr*>(&all), sizeof all);
    if (done != 0 || ::listen(made.listener_.get(), SOMAXCONN) != 0) {
      return fail(errnoError("listen", errno));
    }
    return made;
  }
  /// Milliseconds of as many.
  [[nodiscard]] Result<double> make(int count, const std::string& address) const {
    MULTINET_TRY(const auto scope, netns::Scope::enter(*from_));
    const sockaddr_in to = at(address);
    const auto begin = Steady::now();
    for (int i = 0; i < count; ++i) {
      const Fd near(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const linger cut{1, 0};
      ::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
      if (::connect(near.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        return fail(errnoError("connect", errno));
      }
      const Fd far(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!far.valid()) return fail(errnoError("accept", errno));
    }
    return milliseconds(Steady::now() - begin);
  }

 private:
  static sockaddr_in at(const std::string& address) {
    constexpr std::uint16_t kConnectPort = 7778;
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(kConnectPort);
    ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
    return out;
  }
  const Fd* from_ = nullptr;
  Fd listener_;
};

Status measureConnections(const Arguments& arguments, const std::vector<Contender>& contenders) {
  constexpr int kConnections = 500;
  std::vector<Connections> all;
  for (const Contender& each : contenders) {
    MULTINET_TRY(auto opened, Connections::open(each.site->pod(1), each.site->pod(2)));
    all.push_back(std::move(opened));
  }
  const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), kWarmUp};
  return inTurn(
      contenders.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
        MULTINET_TRY(const double took, all[which].make(kConnections, addressOf(2).str()));
        if (round) print(contenders[which].name, "connections", *round, took);
        return {};
      });
}

/// What a change costs whoever waits for it, from where the agent hears of it.
Status measureChanges(const Arguments& arguments, const Contender& contender) {
  PolicyNode node(contender.site->policies(), kPorts, contender.peers);
  MULTINET_CHECK(node.begin());
  for (int round = -kWarmUp; round < arguments.rounds; ++round) {
    MULTINET_TRY(const double less, node.peerLess());
    MULTINET_TRY(const double more, node.peerMore());
    MULTINET_TRY(const double attached, node.attach());
    MULTINET_CHECK(node.detach());
    if (round < 0) continue;
    print(contender.name, "peer less", round, less);
    print(contender.name, "peer more", round, more);
    print(contender.name, "attach", round, attached);
  }
  return {};
}

/// Attaches, some hundred a second, while somebody commits 200,000 elements in the node's own
/// namespace. One after the other they would leave him no time.
Status measureBeside(const Arguments& arguments, const Contender& contender) {
  constexpr auto kBetween = std::chrono::milliseconds(2);
  constexpr int kCommits = 10;
  PolicyNode node(contender.site->policies(), kPorts, contender.peers);
  MULTINET_CHECK(node.begin());
  std::atomic<bool> ends{false};
  std::atomic<int> commits{0};
  Status beside;
  MULTINET_TRY(auto netns, netns::make());
  std::atomic<bool> ended{false};
  std::thread other([&] {
    beside = commitMany(netns, ends, commits);
    ended = true;
  });
  Status done;
  for (int round = 0; done && !ended && (round < arguments.rounds || commits < kCommits); ++round) {
    const auto took = node.attach();
    done = took ? node.detach() : fail(took.error());
    if (took) print(contender.name, "attach beside 200000 elements", round, *took);
    std::this_thread::sleep_for(kBetween);
  }
  ends = true;
  other.join();
  MULTINET_CHECK(beside);
  return done;
}

/// An agent that begins where another ended.
Status measureRestart(const Contender& contender) {
  {
    PolicyNode before(contender.site->policies(), kPorts, contender.peers);
    MULTINET_CHECK(before.begin());
    // Flows have a generation again a moment after the last tightening.
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  MULTINET_CHECK(contender.site->restart());
  const auto begin = Steady::now();
  PolicyNode node(contender.site->policies(), kPorts, contender.peers);
  MULTINET_CHECK(node.adopt());
  print(contender.name, "restart", 0, milliseconds(Steady::now() - begin));
  print(contender.name, "restart, transactions", 0,
        static_cast<double>(contender.site->policies().commits()));
  return {};
}

/// The same change by an executed nft, of a set as large in tables as these.
Status measureNft(const Arguments& arguments, const std::string& name, unsigned peers) {
  MULTINET_TRY(auto site, Site::make({}));
  MULTINET_CHECK(site->policies().commit(kNetwork, kBridge, wanted(kPorts, peers)));
  site->policies().stop();
  MULTINET_TRY(const auto scope, netns::Scope::enter(site->netns()));
  const std::string element = " element bridge multinet-policy classes4 { 2147483649 . 10.255.0.1";
  for (int round = -1; round < std::min(arguments.rounds, 20); ++round) {
    const auto begin = Steady::now();
    MULTINET_CHECK(execute("nft 'add" + element + " : 2 }'"));
    const auto took = milliseconds(Steady::now() - begin);
    MULTINET_CHECK(execute("nft 'delete" + element + " }'"));
    if (round >= 0) print(name, "peer more, by nft", round, took);
  }
  return {};
}

Result<agent::attach::PodPort> newPod(const std::string& name) {
  MULTINET_TRY(auto netns, netns::make());
  return agent::attach::PodPort{name, "net1", kNetwork,
                                std::make_shared<const Fd>(std::move(netns))};
}

/// A new pod without an end on the node, beside one that has its rules: as on a node, the kernel's
/// hooks are in use already and it changes none of its own code.
Status measureInPods(const Arguments& arguments) {
  agent::policing::PodGuards guards({}, kSystemClock);
  const Policed few = wanted(1, 1);
  MULTINET_TRY(const auto standing, newPod("standing"));
  const auto other = guards.commit(NetworkUid("other"), few.program, nullptr,
                                   {.pods = {{few.ports.begin()->first, standing}}});
  if (!other.empty()) return fail(other.begin()->second);
  for (const unsigned peers : {10U, 1000U}) {
    const Policed all = wanted(1, peers);
    for (int round = -kWarmUp; round < std::min(arguments.rounds, 40); ++round) {
      MULTINET_TRY(const auto port, newPod("pod " + std::to_string(round)));
      const auto begin = Steady::now();
      const auto refused = guards.commit(kNetwork, all.program, nullptr,
                                         {.pods = {{all.ports.begin()->first, port}}});
      const auto took = milliseconds(Steady::now() - begin);
      if (!refused.empty()) return fail(refused.begin()->second);
      guards.leave(port);
      if (round >= 0) print(std::to_string(peers) + " peers", "first rules in a pod", round, took);
    }
  }
  return {};
}

/// Of the node's pods with 10,000 peers. What an agent has resident is that of the first round,
/// when no earlier one left it free memory. The slices that it is told are counted apart.
Status measureShared(int round) {
  MULTINET_TRY(auto site, Site::make({}));
  const double resident = residentMebibytes();
  const double begun = usedMebibytes();
  PolicyNode node(site->policies(), kPorts, kLoaded);
  const double told = usedMebibytes();
  const double empty = kernelMebibytes();
  MULTINET_CHECK(node.begin());
  print("10000 peers", "kernel's memory", round, kernelMebibytes() - empty);
  print("10000 peers", "agent's memory", round, usedMebibytes() - told);
  print("10000 peers", "agent's memory, of slices", round, told - begun);
  const double grown = residentMebibytes() - resident;
  if (round == 0) print("10000 peers", "agent's memory, resident", round, grown);
  return {};
}

/// As those have it who translate policies pod by pod.
Status measureApart(int round) {
  MULTINET_TRY(const auto netns, netns::make());
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto committer, nft::Committer::open());
  const double none = kernelMebibytes();
  for (unsigned pod = 0; pod < kPorts; ++pod) {
    std::string text = "add table inet pods\nadd set inet pods s" + std::to_string(pod) +
                       " { type ipv4_addr; }\nadd element inet pods s" + std::to_string(pod) + " {";
    for (unsigned i = 0; i < kLoaded; ++i) text += addressOf(1000 + 2 * i).str() + ",";
    text.back() = '}';
    MULTINET_CHECK(committer.commit(text + "\n"));
  }
  print("10000 peers", "kernel's memory, a set a pod", round, kernelMebibytes() - none);
  return {};
}

/// What the kernel holds for 100 pods with 10,000 peers: all of them by one set, and with a set for
/// each pod. Others' slabs come and go meanwhile, so it is done more than once.
Status measureMemory() {
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) MULTINET_CHECK(measureShared(round));
  for (int round = 0; round < kRounds; ++round) MULTINET_CHECK(measureApart(round));
  return {};
}

Status measureAll(const Arguments& arguments) {
  MULTINET_CHECK(measureMemory());
  std::vector<Contender> contenders;
  for (const auto& [name, peers] : {std::pair<std::string, unsigned>{"port security", 0U},
                                    {kTracking, 0U},
                                    {kNoShares, 100U},
                                    {"100 peers", 100U},
                                    {"10000 peers", 10'000U},
                                    {"100000 peers", 100'000U}}) {
    agent::policing::PolicyGuardOptions options;
    if (name == kNoShares) options.mostFlows = 0;
    MULTINET_TRY(auto site, Site::make(options));
    if (peers > 0) {
      const auto begin = Steady::now();
      MULTINET_CHECK(site->policies().commit(kNetwork, kBridge, wanted(kPorts, peers)));
      print(name, "first commit", 0, milliseconds(Steady::now() - begin));
    }
    if (name == kTracking) MULTINET_CHECK(site->track());
    contenders.push_back({name, peers, std::move(site)});
  }
  MULTINET_CHECK(measureTrips(arguments, contenders));
  MULTINET_CHECK(measureConnections(arguments, contenders));
  for (const Contender& contender : contenders) {
    if (contender.peers == 0 || contender.name == kNoShares) continue;
    contender.site->policies().forget(kNetwork);
    MULTINET_CHECK(measureChanges(arguments, contender));
    MULTINET_CHECK(measureNft(arguments, contender.name, contender.peers));
    if (contender.peers != kLoaded) continue;
    MULTINET_CHECK(measureBeside(arguments, contender));
    MULTINET_CHECK(measureRestart(contender));
  }
  contenders.clear();
  return measureInPods(arguments);
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("What policies on networks cost");
  multinet::bench::Arguments arguments;
  app.add_option("--rounds", arguments.rounds, "Of each measurement")->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "Of round trips")->capture_default_str();
  app.add_option("--round-trips", arguments.roundTrips, "UDP a round")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(multinet::log::Format::Text, multinet::log::Level::Error);
  const auto measured = multinet::bench::measureAll(arguments);
  if (measured) return 0;
  std::cerr << "multinet-bench-policy: " << measured.error().message << "\n";
  return 1;
}
