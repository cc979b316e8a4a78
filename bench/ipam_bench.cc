// Takes an address of a block and gives one back, on blocks of several sizes that are more or less
// full, and prints a line of JSON for each round: how long such a pair took.
//
// {"bits": 24, "full": 99, "round": 0, "nanoseconds": 31.0}
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/in_turn.h"
#include "lib/ipam/block.h"

namespace multinet::bench {
namespace {

constexpr BootTime kNow{std::chrono::hours(1)};

Result<ipam::Block> blockOf(const std::string& cidr, unsigned fill) {
  MULTINET_TRY(const IpPrefix prefix, IpPrefix::parse(cidr));
  ipam::Block block(ipam::Subnet{prefix, {}, {}, {}}, prefix);
  // The fullest leaves one address to be found.
  while (block.available() > 1 && 100 * block.taken() < fill * block.capacity()) {
    if (!block.allocate(kNow)) return fail(Code::Internal, "Full", "fill " + cidr + ": it is full");
  }
  return block;
}

Status measure(const std::string& cidr, unsigned fill, int operations, int rounds) {
  MULTINET_TRY(auto block, blockOf(cidr, fill));
  for (int round = 0; round < rounds; ++round) {
    const auto begin = Steady::now();
    for (int i = 0; i < operations; ++i) {
      const auto address = block.allocate(kNow);
      if (!address) return fail(Code::Internal, "Full", "take an address of " + cidr);
      block.release(*address, kNow);
    }
    const std::chrono::duration<double, std::nano> took = Steady::now() - begin;
    std::cout << nlohmann::json{{"bits", block.prefix().length()},
                                {"full", fill},
                                {"round", round},
                                {"nanoseconds", took.count() / operations}}
                     .dump()
              << "\n";
  }
  return {};
}

Status measureAll(int operations, int rounds) {
  for (const auto* cidr :
       {"10.0.0.0/28", "10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/8", "fd00::/64"}) {
    for (const unsigned fill : {0U, 50U, 99U, 100U}) {
      MULTINET_CHECK(measure(cidr, fill, operations, rounds));
    }
  }
  return {};
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("Measures how long an address takes");
  int operations = 100000;
  int rounds = 5;
  app.add_option("--operations", operations, "Pairs of a round")->capture_default_str();
  app.add_option("--rounds", rounds, "Of each case")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const auto done = multinet::bench::measureAll(operations, rounds);
  if (done) return 0;
  std::cerr << "multinet-bench-ipam: " << done.error().message << "\n";
  return 1;
}
