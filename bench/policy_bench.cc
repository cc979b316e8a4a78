// What policies cost: a round trip between two pods with few and with many peers, and the kernel's
// part of a peer more, a port more and a tightening. Prints a line of JSON for each measurement:
// {"case": "100000 peers", "what": "round trips", "round": 0, "milliseconds": 9.41}.
//
// To be run as root. All of it is in namespaces that the program makes and that end with it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bench/in_turn.h"
#include "bench/traffic.h"
#include "lib/base/log.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"
#include "lib/policy/peers.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/policy/book.h"
#include "nodeagent/policy/guard.h"

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
const std::string kNoShares = "100 peers, no shares";
constexpr policy::Number kSubject = 1;
constexpr policy::Number kPeers = 2;

IpAddress addressOf(unsigned number) {
  constexpr unsigned kTen = 10U << 24U;
  return {IpFamily::V4, kTen + number};
}
std::string portOf(unsigned number) {
  return "mnvbench" + std::to_string(number);
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
    MULTINET_TRY(site->policies_, PolicyGuard::start(site->netns_, options, kSystemClock));
    for (unsigned i = 1; i <= 2; ++i) MULTINET_CHECK(site->plug(i));
    return site;
  }
  [[nodiscard]] const Fd& pod(unsigned number) const { return pods_.at(number - 1); }
  [[nodiscard]] PolicyGuard& policies() { return *policies_; }

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
            << "\n";
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

/// What a change costs whoever waits for it.
Status measureChanges(const Arguments& arguments, const Contender& contender) {
  PolicyGuard& guard = contender.site->policies();
  const auto commit = [&](const char* what, int round, Policed policed) -> Status {
    const auto begin = Steady::now();
    MULTINET_CHECK(guard.commit(kNetwork, kBridge, std::move(policed)));
    if (round >= 0) print(contender.name, what, round, milliseconds(Steady::now() - begin));
    return {};
  };
  for (int round = -kWarmUp; round < arguments.rounds; ++round) {
    MULTINET_CHECK(commit("peer more", round, wanted(kPorts, contender.peers + 1)));
    MULTINET_CHECK(commit("port more", round, wanted(kPorts + 1, contender.peers + 1)));
    MULTINET_CHECK(commit("port less", round, wanted(kPorts, contender.peers + 1)));
    MULTINET_CHECK(commit("peer less", round, wanted(kPorts, contender.peers)));
  }
  return {};
}

/// A policy of this node's isolated pods, and its peers, as an agent is told of them.
class Told {
 public:
  explicit Told(unsigned peers) {
    api::PodNetworkPolicySlice head = named("policy");
    head.head.emplace().policyGeneration = 1;
    api::PodNetworkPolicySpec& spec = head.head->spec.emplace();
    spec.podNetworkNames = {kNetworkName};
    spec.ingress.emplace_back().peers.emplace_back().podSelector.emplace();
    hash_ = policy::peerHash(policy::peersOf(spec, kSpace).front());
    for (unsigned i = 0; i < peers; i += kPerSlice) {
      slices_.push_back(members(i, std::min(peers - i, kPerSlice)));
    }
    const auto slices = static_cast<std::int32_t>(slices_.size());
    head.head->peers = {{kNetworkName, hash_, slices, static_cast<std::int32_t>(peers)}};
    slices_.push_back(std::make_shared<const api::PodNetworkPolicySlice>(std::move(head)));
    for (unsigned i = 0; i < kPorts; ++i) {
      pods_.push_back({{kSpace, "pod-" + std::to_string(i)}, {}, {}, {{kNetworkName, {}}}});
    }
    static_cast<void>(decide());
  }

  /// The first slice has one more, or one less.
  void change(bool isMore) { slices_[0] = members(0, isMore ? kPerSlice - 1 : kPerSlice - 2); }

  policy::Program decide() {
    book_.update(kSpace, slices_, BootTime{});
    agent::policing::BookSource source(kNetworkName, kNetwork);
    std::vector<policy::Subject> subjects;
    const auto told = book_.policiesFor(kSpace, BootTime{});
    for (const auto& one : told) source.add(one);
    for (const policy::Pod& pod : pods_) {
      policy::Subject& subject = subjects.emplace_back();
      subject.pod = &pod;
      for (const auto& one : told) subject.policies.push_back(&one->policy);
    }
    return policy::compile(subjects, {kNetworkName, api::DefaultPolicy::Allow}, source, numbers_)
        .program;
  }

 private:
  static constexpr unsigned kPerSlice = 200;
  static constexpr const char* kSpace = "bench";
  static constexpr const char* kNetworkName = "blue";

  static api::PodNetworkPolicySlice named(const std::string& name) {
    api::PodNetworkPolicySlice slice;
    slice.metadata.nameSpace = kSpace;
    slice.metadata.name = name;
    slice.metadata.resourceVersion = "1";
    slice.policyName = "policy";
    slice.policyUID = "uid";
    return slice;
  }

  [[nodiscard]] std::shared_ptr<const api::PodNetworkPolicySlice> members(unsigned first,
                                                                          unsigned count) const {
    api::PodNetworkPolicySlice slice = named("policy-" + std::to_string(first));
    slice.members = {kNetworkName, hash_, {}};
    for (unsigned i = 0; i < count; ++i) {
      slice.members->entries.push_back({addressOf(1000 + 2 * (first + i)).str(), std::nullopt});
    }
    return std::make_shared<const api::PodNetworkPolicySlice>(std::move(slice));
  }

  std::string hash_;
  agent::policing::Slices slices_;
  std::vector<policy::Pod> pods_;
  agent::policing::Book book_{Duration{}};
  policy::Numbers numbers_;
};

/// What an agent takes to decide what the kernel shall have, before it tells it.
void measureDecisions(const Arguments& arguments, const Contender& contender) {
  Told told(contender.peers);
  for (int round = -kWarmUp; round < arguments.rounds; ++round) {
    told.change(round % 2 != 0);
    const auto begin = Steady::now();
    const policy::Program program = told.decide();
    const double took = milliseconds(Steady::now() - begin);
    if (round >= 0) print(contender.name, "peer more or less, decided", round, took);
  }
}

Status measureAll(const Arguments& arguments) {
  std::vector<Contender> contenders;
  for (const auto& [name, peers] : {std::pair<std::string, unsigned>{"port security", 0U},
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
    contenders.push_back({name, peers, std::move(site)});
  }
  MULTINET_CHECK(measureTrips(arguments, contenders));
  MULTINET_CHECK(measureConnections(arguments, contenders));
  for (const Contender& contender : contenders) {
    if (contender.peers == 0 || contender.name == kNoShares) continue;
    MULTINET_CHECK(measureChanges(arguments, contender));
    measureDecisions(arguments, contender);
  }
  return {};
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
