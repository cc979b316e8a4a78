// Puts one interface into a pod and takes it out again, each contender in turn, and prints a line
// of JSON for each attach: {"case": "engine", "round": 0, "milliseconds": 0.41}.
//
// To be run as root in a network and mount namespace of its own (unshare --net --mount), which
// plays the host.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/attach_contenders.h"
#include "bench/in_turn.h"
#include "bench/many_contenders.h"
#include "lib/base/log.h"

namespace multinet::bench {
namespace {

struct Arguments {
  std::string kind;
  std::string plugins;
  std::string leases;
  std::string multus;
  int rounds = 100;
  int seconds = 20;
};

constexpr int kWarmUp = 6;

Status measure(const std::vector<std::unique_ptr<Contender>>& contenders,
               const Arguments& arguments) {
  const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), kWarmUp};
  return inTurn(contenders.size(), bounds,
                [&](std::size_t which, std::optional<int> round) -> Status {
                  Contender& contender = *contenders[which];
                  const auto begin = Steady::now();
                  MULTINET_TRY(const auto done, contender.attach());
                  const auto took = done - begin;
                  if (round) {
                    std::cout << nlohmann::json{{"case", contender.name()},
                                                {"round", *round},
                                                {"milliseconds", milliseconds(took)}}
                                     .dump()
                              << "\n";
                  }
                  return contender.detach();
                });
}

Status measureAll(const Arguments& arguments) {
  const LinkKind kind = arguments.kind == "macvlan" ? LinkKind::Macvlan : LinkKind::Veth;
  MULTINET_CHECK(makeParents());
  if (!arguments.multus.empty()) {
    MULTINET_TRY(const auto contenders,
                 makeMany(arguments.multus, arguments.plugins, arguments.leases));
    return measure(contenders, arguments);
  }
  std::vector<std::unique_ptr<Contender>> contenders(2);
  MULTINET_TRY(contenders[0], makeEngine(planOf(kind, 1)));
  MULTINET_TRY(contenders[1], makeNetlink(planOf(kind, 2)));
  if (kind == LinkKind::Veth) {
    MULTINET_TRY(auto secured, makeSecured(planOf(kind, 4)));
    contenders.push_back(std::move(secured));
  }
  if (!arguments.plugins.empty()) {
    MULTINET_TRY(auto cni, makeCni(planOf(kind, 3), arguments.plugins, arguments.leases));
    contenders.push_back(std::move(cni));
  }
  return measure(contenders, arguments);
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("Attach of one interface: the agent's engine, bare netlink, reference CNI plugins");
  multinet::bench::Arguments arguments;
  app.add_option("kind", arguments.kind)->required()->check(CLI::IsMember({"macvlan", "veth"}));
  app.add_option("--plugins", arguments.plugins, "Directory of the CNI plugins; none without");
  app.add_option("--leases", arguments.leases, "Directory in which host-local keeps its leases");
  app.add_option("--multus", arguments.multus, "Instead: 1, 4, 16 macvlans, beside this program");
  app.add_option("--rounds", arguments.rounds)->capture_default_str();
  app.add_option("--seconds", arguments.seconds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(multinet::log::Format::Text, multinet::log::Level::Error);
  const auto measured = multinet::bench::measureAll(arguments);
  if (measured) return 0;
  std::cerr << "multinet-bench-attach: " << measured.error().message << "\n";
  return 1;
}
