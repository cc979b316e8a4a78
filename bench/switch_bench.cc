// What a way from pod to pod costs: through the switch, and through bridges in the node's own
// namespace, each in turn. Prints a line of JSON for each measurement:
// {"case": "switch", "path": "VXLAN, one node", "what": "send", "round": 0, "milliseconds": 9.41}.
//
// To be run as root. All of it is in namespaces that the program makes and that end with it.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/in_turn.h"
#include "bench/switch_site.h"
#include "bench/traffic.h"
#include "lib/base/log.h"

namespace multinet::bench {
namespace {

struct Arguments {
  int rounds = 96;
  int seconds = 60;
  int mebibytes = 32;
  int roundTrips = 500;
};

struct Contender {
  std::string name;
  Site site;
};

struct Path {
  std::string name;
  Net net;
  Pod to;
};

constexpr int kWarmUp = 4;

/// Without those that the kernel can't have.
Result<std::vector<Contender>> makeContenders() {
  struct Kind {
    const char* name;
    Layout layout;
    Firewall firewall;
    Ports ports = Ports::Open;
  };
  constexpr Kind kinds[] = {{"switch", Layout::Switch, Firewall::None},
                            {"node", Layout::Node, Firewall::None},
                            {"secured", Layout::Switch, Firewall::None, Ports::Secured},
                            {"switch, bridge-nf", Layout::Switch, Firewall::SeesBridges},
                            {"node, bridge-nf", Layout::Node, Firewall::SeesBridges}};
  std::vector<Contender> contenders;
  for (const auto& [name, layout, firewall, ports] : kinds) {
    auto site = Site::make(layout, firewall, ports);
    if (!site && site.error().code == Code::NotFound && firewall == Firewall::SeesBridges) continue;
    if (!site) return fail(site.error());
    contenders.push_back({name, std::move(*site)});
  }
  return contenders;
}

class Measurement {
 public:
  Measurement(const Arguments& arguments, const Path& path) : arguments_(arguments), path_(path) {}

  Status run(const std::vector<Contender>& contenders) {
    std::vector<Conversation> conversations;
    for (const Contender& each : contenders) {
      MULTINET_TRY(auto opened,
                   Conversation::open(each.site.pod(Pod::First), each.site.pod(path_.to),
                                      Site::addressOf(path_.to, path_.net), kPort));
      conversations.push_back(std::move(opened));
    }
    const Bounds bounds{arguments_.rounds, std::chrono::seconds(arguments_.seconds / kPaths),
                        kWarmUp};
    return inTurn(
        contenders.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
          Conversation& conversation = conversations[which];
          const auto bytes = static_cast<std::size_t>(arguments_.mebibytes) << 20U;
          MULTINET_TRY(const double sent, conversation.send(bytes));
          MULTINET_TRY(const double answered, conversation.roundTrips(arguments_.roundTrips));
          if (round) {
            print(contenders[which].name, "send", *round, sent);
            print(contenders[which].name, "round trips", *round, answered);
          }
          return {};
        });
  }

  static constexpr int kPaths = 4;

 private:
  void print(const std::string& name, const char* what, int round, double took) const {
    std::cout << nlohmann::json{{"case", name},
                                {"path", path_.name},
                                {"what", what},
                                {"round", round},
                                {"milliseconds", took}}
                     .dump()
              << "\n";
  }

  static constexpr std::uint16_t kPort = 7777;
  const Arguments& arguments_;
  const Path& path_;
};

Status measureAll(const Arguments& arguments) {
  const Path paths[Measurement::kPaths] = {{"VXLAN, one node", Net::Vxlan, Pod::Neighbour},
                                           {"VXLAN, two nodes", Net::Vxlan, Pod::Remote},
                                           {"Bridge, one node", Net::Bridge, Pod::Neighbour},
                                           {"Bridge, two nodes", Net::Bridge, Pod::Remote}};
  MULTINET_TRY(const auto contenders, makeContenders());
  for (const Path& path : paths) {
    MULTINET_CHECK(Measurement(arguments, path).run(contenders));
  }
  return {};
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("From pod to pod: through the switch, and through bridges in the node's namespace");
  multinet::bench::Arguments arguments;
  app.add_option("--rounds", arguments.rounds, "Of each path")->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "Of all paths")->capture_default_str();
  app.add_option("--mebibytes", arguments.mebibytes, "TCP a round")->capture_default_str();
  app.add_option("--round-trips", arguments.roundTrips, "UDP a round")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(multinet::log::Format::Text, multinet::log::Level::Error);
  const auto measured = multinet::bench::measureAll(arguments);
  if (measured) return 0;
  std::cerr << "multinet-bench-switch: " << measured.error().message << "\n";
  return 1;
}
