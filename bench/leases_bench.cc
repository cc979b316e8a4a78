// Claims addresses on several nodes at once through a real API server, gives all back, claims them
// again, and prints how long each took:
//
// {"case": "claim", "addresses": 1000, "different": 1000, "seconds": 0.4}
//
// A node is what the agent has of it for addresses: its own blocks, client, thread. The network and
// the Nodes are there already (tools/benchlib/leases.py).
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "bench/in_turn.h"
#include "lib/base/log.h"
#include "lib/base/log_level.h"
#include "lib/kube/client.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/blocks.h"

namespace multinet::bench {
namespace {

namespace addresses = agent::addresses;

constexpr std::chrono::seconds kLongest(120);

struct Arguments {
  std::string kubeconfig;
  std::string network;
  std::string uid;
  std::string cidr;
  int nodes = 10;
  int claims = 100;  // of each
};

class Node {
 public:
  static Result<std::unique_ptr<Node>> of(const Arguments& arguments, int number) {
    MULTINET_TRY(const auto config, kube::loadConfig(arguments.kubeconfig, ""));
    MULTINET_TRY(auto client, kube::connect(config));
    MULTINET_TRY(const IpPrefix cidr, IpPrefix::parse(arguments.cidr));
    MULTINET_TRY(auto interface, InterfaceName::parse("net1"));
    addresses::Pool pool{
        NetworkName(arguments.network), NetworkUid(arguments.uid), {{cidr, {}, {}, {}}}};
    return std::make_unique<Node>("bench-" + std::to_string(number), std::move(client),
                                  addresses::AddressRequest{std::move(interface), std::move(pool)});
  }
  Node(std::string name, std::unique_ptr<kube::Client> client, addresses::AddressRequest want)
      : name_(std::move(name)),
        client_(std::move(client)),
        want_(std::move(want)),
        blocks_([this]() -> Result<kube::Client*> { return client_.get(); }, NodeName(name_)),
        addresses_(lane_, blocks_, clock_, {.node = NodeName(name_)}) {
    addresses_.restore({}, addresses::Books::Complete);
    addresses_.setWanted({want_.pool});
  }

  using Claims = std::vector<std::future<Result<std::vector<addresses::Claimed>>>>;

  /// `turn` tells a pod's sandboxes apart.
  void claim(int count, int turn, Claims& claims) {
    for (int i = 0; i < count; ++i) {
      auto answer = std::make_shared<std::promise<Result<std::vector<addresses::Claimed>>>>();
      claims.push_back(answer->get_future());
      addresses_.claim(intentOf(i, turn), PodUid(name_ + "-" + std::to_string(i)), {want_},
                       clock_.now() + kLongest,
                       [answer](Result<std::vector<addresses::Claimed>> claimed) {
                         answer->set_value(std::move(claimed));
                       });
    }
  }
  void release(int count, int turn) {
    for (int i = 0; i < count; ++i) addresses_.release(intentOf(i, turn));
  }

 private:
  [[nodiscard]] IntentId intentOf(int pod, int turn) const {
    return IntentId(name_ + "-" + std::to_string(pod) + "-" + std::to_string(turn));
  }

  const std::string name_;
  const std::unique_ptr<kube::Client> client_;
  const addresses::AddressRequest want_;
  SystemClock clock_;
  async::Lane lane_{"bench"};
  addresses::Blocks blocks_;
  addresses::Addresses addresses_;
};

Status claimAll(const std::vector<std::unique_ptr<Node>>& nodes, int count, int turn,
                std::string_view name) {
  Node::Claims claims;
  const auto begin = Steady::now();
  for (const auto& node : nodes) node->claim(count, turn, claims);
  std::set<IpAddress> different;
  for (auto& claim : claims) {
    MULTINET_TRY(const auto claimed, claim.get());
    different.insert(claimed.at(0).at(0).address.address);
  }
  const std::chrono::duration<double> took = Steady::now() - begin;
  std::cout << nlohmann::json{{"case", name},
                              {"addresses", claims.size()},
                              {"different", different.size()},
                              {"seconds", took.count()}}
                   .dump()
            << std::endl;
  return {};
}

Status measure(const Arguments& arguments) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < arguments.nodes; ++i) {
    MULTINET_TRY(auto node, Node::of(arguments, i));
    nodes.push_back(std::move(node));
  }
  MULTINET_CHECK(claimAll(nodes, arguments.claims, 0, "claim"));
  for (const auto& node : nodes) node->release(arguments.claims, 0);
  return claimAll(nodes, arguments.claims, 1, "again");
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("Measures how long addresses of a real cluster take");
  multinet::bench::Arguments arguments;
  app.add_option("--kubeconfig", arguments.kubeconfig)->required();
  app.add_option("--network", arguments.network, "Its name")->required();
  app.add_option("--uid", arguments.uid, "Its UID")->required();
  app.add_option("--cidr", arguments.cidr, "Its subnet")->required();
  app.add_option("--nodes", arguments.nodes, "bench-0 and so on")->capture_default_str();
  app.add_option("--claims", arguments.claims, "Of each node")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(multinet::log::Format::Text, multinet::log::Level::Warn);
  const auto done = multinet::bench::measure(arguments);
  std::cout.flush();
  if (!done) std::cerr << "multinet-bench-leases: " << done.error().message << std::endl;
  // Nothing is owed to anybody, and the client's threads may be waiting.
  std::_Exit(done ? 0 : 1);
}
