#include "cli/ipam.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

/// 2^n as people count it: in full up to a million.
std::string sizeOf(const IpPrefix& prefix) {
  const unsigned hostBits = bits(prefix.family()) - prefix.length();
  if (hostBits > 20) return "2^" + std::to_string(hostBits);
  return std::to_string(1ULL << hostBits);
}

struct Held {
  std::string network;
  IpAddress address;
  std::string shown;  // with its length
  std::string pod;
  std::string interface;
  std::string node;
  std::string since;
};

std::vector<Held> heldAddresses(const json& sets) {
  std::vector<Held> held;
  for (const json& set : sets) {
    for (const json& interface : list(set, "/interfaces")) {
      for (const json& ip : list(interface, "/ips")) {
        const std::string shown = text(ip, "/address");
        const auto address = IpAddress::parse(shown.substr(0, shown.find('/')));
        if (!address) continue;
        held.push_back({text(interface, "/podNetworkName"), *address, shown, podOf(set),
                        text(interface, "/name"), text(set, "/nodeName"),
                        text(interface, "/attachedAt")});
      }
    }
  }
  return held;
}

std::size_t countIn(const std::vector<Held>& held, const std::string& network,
                    const IpPrefix& range) {
  return static_cast<std::size_t>(std::ranges::count_if(held, [&](const Held& one) {
    return one.network == network && range.contains(one.address);
  }));
}

void sortRows(Table& table) {
  std::ranges::stable_sort(table.rows, {}, [](const auto& row) { return row.front().text; });
}

}  // namespace

Table subnetsTable(const Addresses& all) {
  Table table{{{"NETWORK"},
               {"SUBNET"},
               {"SIZE"},
               {"BLOCKS"},
               {"LEASED"},
               {"NODES"},
               {"HELD"},
               {"GATEWAY", true},
               {"EXCLUDED", true}},
              {}};
  const auto held = heldAddresses(all.sets);
  for (const json& network : all.networks) {
    for (const json& subnet : list(network, "/spec/ipam/subnets")) {
      const auto range = IpPrefix::parse(text(subnet, "/cidr"));
      if (!range) continue;
      std::set<std::string> nodes;
      std::size_t blocks = 0;
      std::optional<unsigned> hostBits;
      for (const json& block : all.blocks) {
        if (text(block, "/spec/podNetworkName") != nameOf(network)) continue;
        const auto cidr = IpPrefix::parse(text(block, "/spec/cidr"));
        if (!cidr || !range->contains(*cidr)) continue;
        ++blocks;
        nodes.insert(text(block, "/spec/nodeName"));
        hostBits = bits(cidr->family()) - cidr->length();
      }
      // Blocks of a subnet are of one size.
      const std::string leased = !hostBits ? "0"
                                 : *hostBits > 20
                                     ? std::to_string(blocks) + "x2^" + std::to_string(*hostBits)
                                     : std::to_string(blocks * (1ULL << *hostBits));
      table.rows.push_back({{nameOf(network)},
                            {range->str()},
                            {sizeOf(*range)},
                            {std::to_string(blocks)},
                            {leased},
                            {std::to_string(nodes.size())},
                            {std::to_string(countIn(held, nameOf(network), *range))},
                            {text(subnet, "/gateway")},
                            {joined(list(subnet, "/exclude"), "")}});
    }
  }
  sortRows(table);
  return table;
}

Table blocksTable(const Addresses& all, WallTime now) {
  Table table{{{"NETWORK"}, {"BLOCK"}, {"NODE"}, {"HELD"}, {"SIZE"}, {"AGE"}, {"NAME", true}}, {}};
  const auto held = heldAddresses(all.sets);
  for (const json& block : all.blocks) {
    const auto cidr = IpPrefix::parse(text(block, "/spec/cidr"));
    const std::string network = text(block, "/spec/podNetworkName");
    table.rows.push_back({{network},
                          {text(block, "/spec/cidr")},
                          {text(block, "/spec/nodeName")},
                          {cidr ? std::to_string(countIn(held, network, *cidr)) : ""},
                          {cidr ? sizeOf(*cidr) : ""},
                          {ageOf(text(block, "/metadata/creationTimestamp"), now)},
                          {nameOf(block)}});
  }
  std::ranges::sort(table.rows, [](const auto& left, const auto& right) {
    return std::pair(left[0].text, left[1].text) < std::pair(right[0].text, right[1].text);
  });
  return table;
}

Table holdersTable(const Addresses& all, WallTime now) {
  Table table{{{"NETWORK"}, {"ADDRESS"}, {"POD"}, {"INTERFACE"}, {"NODE"}, {"AGE"}}, {}};
  auto held = heldAddresses(all.sets);
  std::ranges::sort(held, [](const Held& left, const Held& right) {
    return std::pair(left.network, left.address) < std::pair(right.network, right.address);
  });
  for (const Held& one : held) {
    table.rows.push_back({{one.network},
                          {one.shown},
                          {one.pod},
                          {one.interface},
                          {one.node},
                          {ageOf(one.since, now)}});
  }
  return table;
}

std::string describeAddress(const Addresses& all, const IpAddress& address) {
  std::string out;
  const auto held = heldAddresses(all.sets);
  for (const json& network : all.networks) {
    for (const json& subnet : list(network, "/spec/ipam/subnets")) {
      const auto range = IpPrefix::parse(text(subnet, "/cidr"));
      if (!range || !range->contains(address)) continue;
      out += address.str() + " is in subnet " + range->str() + " of network " + nameOf(network);
      if (text(subnet, "/gateway") == address.str()) out += ", whose gateway it is";
      out += '\n';
      std::string block;
      for (const json& one : all.blocks) {
        const auto cidr = IpPrefix::parse(text(one, "/spec/cidr"));
        if (text(one, "/spec/podNetworkName") != nameOf(network)) continue;
        if (!cidr || !cidr->contains(address)) continue;
        block = "  node " + text(one, "/spec/nodeName") + " leases its block " + cidr->str() + "\n";
      }
      out += block.empty() ? "  no node leases a block around it\n" : block;
      bool free = true;
      for (const Held& one : held) {
        if (one.network != nameOf(network) || one.address != address) continue;
        out += "  pod " + one.pod + " holds it on " + one.interface +
               (one.since.empty() ? "" : " since " + one.since) + ", node " + one.node + "\n";
        free = false;
      }
      if (free && !block.empty()) {
        out +=
            "  no pod holds it: it is free, or rests on that node for the quarantine (60 s unless "
            "its agent says otherwise)\n";
      }
    }
  }
  return out.empty() ? address.str() + " is in no subnet of any network\n" : out;
}

namespace {

constexpr std::array kFlags = {
    Flag{"network", 0, "NETWORK", "Of this network only", Names::Networks},
    Flag{"node", 0, "NODE", "What this node leases, and its pods hold", Names::Nodes},
    Flag{"blocks", 0, "", "A row for each block that a node leases"},
    Flag{"addresses", 0, "", "A row for each address that a pod holds"}, kOutput};
constexpr std::array kExamples = {
    Example{"kubectl multinet ipam", "how full each subnet is"},
    Example{"kubectl multinet ipam --blocks --node node-a", "what one node leases"},
    Example{"kubectl multinet ipam 10.20.0.5", "who holds an address"}};

json only(const json& items, const std::string& pointer, const std::string& wanted) {
  if (wanted.empty()) return items;
  json out = json::array();
  for (const json& item : items) {
    if (text(item, pointer) == wanted) out.push_back(item);
  }
  return out;
}

Result<Addresses> fetch(Call& call) {
  const auto& arguments = call.arguments();
  const auto network = arguments.value("network");
  Addresses all;
  MULTINET_TRY(all.networks, listNetworks(call));
  MULTINET_TRY(const json blocks, call.list(kinds::kBlocks));
  MULTINET_TRY(const json sets, call.list(kinds::kSets));
  all.blocks = only(only(blocks, "/spec/podNetworkName", network), "/spec/nodeName",
                    arguments.value("node"));
  all.sets = only(sets, "/nodeName", arguments.value("node"));
  if (network.empty()) return all;
  for (json& set : all.sets) {
    set["interfaces"] = only(list(set, "/interfaces"), "/podNetworkName", network);
  }
  return all;
}

Result<int> run(Call& call) {
  const auto& arguments = call.arguments();
  if (!arguments.operands.empty()) {
    const auto address = IpAddress::parse(arguments.operands.front());
    if (!address) {
      return fail(Code::InvalidArgument, "InvalidCommandLine",
                  "\"" + arguments.operands.front() +
                      "\" is no address; write one such as 10.20.0.5, without a length");
    }
    MULTINET_TRY(const auto all, fetch(call));
    call.out() << describeAddress(all, *address);
    return kDone;
  }
  MULTINET_TRY(const auto all, fetch(call));
  const auto now = call.clock().wall();
  if (arguments.has("addresses")) {
    MULTINET_CHECK(printItems(call, kinds::kSets, all.sets, holdersTable(all, now)));
  } else if (arguments.has("blocks") || arguments.has("node")) {
    MULTINET_CHECK(printItems(call, kinds::kBlocks, all.blocks, blocksTable(all, now)));
  } else {
    MULTINET_CHECK(printItems(call, kinds::kNetworks, all.networks, subnetsTable(all)));
  }
  return kDone;
}

}  // namespace

Verb ipamVerb() {
  return {.name = "ipam",
          .operands = "[ADDRESS]",
          .most = 1,
          .summary = "Addresses: what networks have, nodes lease and pods hold",
          .text =
              "Without an address a row for each subnet: its size, the blocks that nodes lease, "
              "the addresses in them, and how many of them pods hold. --blocks and --addresses "
              "go into detail. With an address: who holds it. An address that a pod gave back "
              "rests on its node before it is given out again; only that node knows how long.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
