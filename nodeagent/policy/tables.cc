// The text of both tables.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "nodeagent/model/gateway_ports.h"
#include "nodeagent/policy/rules.h"

namespace multinet::agent::policing {
namespace {

// What both tables tell each other of a packet, as its mark. Whatever else a mark may be in a
// node's namespace, it is none of these.
constexpr const char* kPasses = "0x4d4e0001";  ///< of a flow that was judged in this generation
constexpr const char* kReply = "0x4d4e0002";   ///< against the direction of its flow
constexpr const char* kJudged = "0x4d4e0004";  ///< the rules let it pass
constexpr const char* kOver = "0x4d4e0008";    ///< the first of a flow beyond its sender's share
/// Within the rules, in place of a class: no permit fits. No class has that number.
constexpr const char* kDenied = "0xffffffff";

/// After port security, before whatever else passes prerouting.
constexpr int kBridgeZonePriority = -250;
/// Before br_netfilter (0).
constexpr int kNumberPriority = -160;
/// Before fragments are put together (-400), which is done by zone.
constexpr int kInetZonePriority = -450;
/// After conntrack (-200).
constexpr int kKnownPriority = -150;
/// After br_netfilter (0), which runs the inet hooks there.
constexpr int kForwardPriority = 10;
/// In a pod: after its own translation of sources (100), as the wire gets it.
constexpr int kSentPriority = 200;
/// Before the rules of port security.
constexpr int kRawPriority = -310;

/// What a sender of flows may hold of the kernel's table, as parts of it: some that only every 16th
/// is counted of, since to count one the kernel looks at dozens of others; and then so many more,
/// each of them counted.
struct Share {
  std::uint32_t loosely;
  std::uint32_t exactly;
};
constexpr std::uint32_t kParts = 16;
constexpr Share kPortShare{1, 3};
/// All others on a bridge together, other nodes' pods first: no network takes the others' place.
constexpr Share kWireShare{2, 6};
constexpr std::uint32_t kCountOneOf = 16;
constexpr const char* kWire = "_wire";

/// One end of a frame, asked whether it may.
struct Side {
  std::string chain;
  const char* port;                   ///< whose subject it is
  const char* direction;              ///< the map of subjects
  const char* peer;                   ///< which address of the frame is the other end's
  const char* permits;                ///< the chain that looks them up
  const char* denied;                 ///< the chain of those that aren't allowed
  std::vector<std::string> gateways;  ///< rules of what is let pass of gateways
};

/// Sets mark to kDenied where no permit is found.
std::vector<std::string> askRules(const Side& side) {
  const std::string port = side.port;
  std::vector<std::string> rules = {
      "meta priority set none",
      "meta priority set " + port + " map @" + side.direction,
      "meta mark set " + port + " map @networks",
  };
  // A mark that no address gave is the network's number, which has no permits. Single addresses are
  // asked for a second time, since one may have come out of a range in between.
  for (const auto& [family, suffix] : {std::pair{"ip", "4"}, std::pair{"ip6", "6"}}) {
    for (const char* const map : {"classes", "ranges", "classes"}) {
      rules.push_back("meta mark set meta mark . " + std::string(family) + " " + side.peer +
                      " map @" + map + suffix);
    }
  }
  rules.push_back(std::string("goto ") + side.permits);
  return rules;
}

/// What a gateway of this node asks by itself, what it lets in of clients whom it has judged, and
/// the answers to both: no other client has such a port there, and no pod has that port of the
/// bridge.
std::vector<std::string> gatewayRules(const std::string& gateway, const std::string& port) {
  const auto ports = [&](std::uint16_t first, std::uint16_t last) {
    return " th " + port + " " + std::to_string(first) + "-" + std::to_string(last) + " return";
  };
  const std::string of = gateway + " meta l4proto ";
  return {of + "6" + ports(kFirstCheckPort, kLastCheckPort),
          of + "{ 6, 17 }" + ports(kFirstJudgedPort, kLastJudgedPort)};
}

/// The same in a pod, where an address is all that tells a gateway; `address`: `saddr`.
std::vector<std::string> gatewayRulesInPod(const std::string& link, const std::string& address,
                                           const std::string& port) {
  std::vector<std::string> rules;
  for (const auto& [family, set] :
       {std::pair{"ip ", "@gateways4"}, std::pair{"ip6 ", "@gateways6"}}) {
    const std::string gateway = fmt::format("{} . {}{} {}", link, family, address, set);
    for (std::string& rule : gatewayRules(gateway, port)) rules.push_back(std::move(rule));
  }
  return rules;
}

/// Asked twice: between the lookups of one packet a transaction may come, and what is read before
/// it doesn't fit to what is read after it. So a subject of before may find the class that somebody
/// has after it, and be let pass as neither was. What lets pass is therefore asked again, and what
/// denies as well.
std::vector<std::string> sideRules(const Side& side) {
  const std::string denied = std::string("meta mark ") + kDenied;
  const std::string ask = "jump ask_" + side.chain;
  std::vector<std::string> rules = {std::string(side.port) + " != @" + side.direction +
                                    "_ports return"};
  for (int passed = 0; passed < 2; ++passed) {
    for (std::string& rule :
         std::vector<std::string>{ask, fmt::format("{} {}", denied, ask),
                                  fmt::format("{} goto {}", denied, side.denied)}) {
      rules.push_back(std::move(rule));
    }
  }
  return rules;
}

/// `port`: `dport`, or `sport` of answers.
std::vector<std::string> permitRules(const std::string& port) {
  const std::string every = "meta priority . meta mark @every return";
  const std::string byPort =
      "meta priority . meta mark . meta l4proto . th " + port + " @ports return";
  return {every, byPort, "meta mark set 0", every, byPort, std::string("meta mark set ") + kDenied};
}

nft::Chain plain(const char* name, std::vector<std::string> rules) {
  return {name, "", 0, std::move(rules)};
}

/// Two rules: a set that is full ends the first, not the second.
nft::Chain denial(const char* name, const char* counter, const char* set, const char* port) {
  return plain(
      name, {std::string("counter name \"") + counter + "\" update @" + set + " { " + port + " }",
             "drop"});
}

/// Elements of sets that rules fill: ports of a node, those of an hour ago too, and links of a pod.
constexpr unsigned kMostPorts = 8192;
constexpr unsigned kMostLinks = 256;

nft::Set filledByRules(const char* name, unsigned most) {
  nft::Set set{name, "ifname", {}};
  set.filledBy = fmt::format("size {}; flags dynamic,timeout; timeout 1h; counter", most);
  return set;
}

nft::Set mapOf(const char* name, const char* key, const char* value) {
  nft::Set set{name, key, {}};
  set.value = value;
  return set;
}

nft::Set intervalsOf(nft::Set set) {
  set.intervals = true;
  return set;
}

nft::Table emptyRules(const char* family, unsigned mostPorts) {
  nft::Table table;
  table.family = family;
  table.name = "multinet-policy";
  table.counters = {kDeniedEgress, kDeniedIngress};
  table.sets = {
      {"isolated", "ifname", {}},
      {"egress_ports", "ifname", {}},
      {"ingress_ports", "ifname", {}},
      {"gateways", "ifname", {}},
      mapOf("networks", "ifname", "mark"),
      mapOf("egress", "ifname", "classid"),
      mapOf("ingress", "ifname", "classid"),
      mapOf("classes4", "mark . ipv4_addr", "mark"),
      mapOf("classes6", "mark . ipv6_addr", "mark"),
      intervalsOf(mapOf("ranges4", "mark . ipv4_addr", "mark")),
      intervalsOf(mapOf("ranges6", "mark . ipv6_addr", "mark")),
      {"every", "classid . mark", {}},
      intervalsOf({"ports", "classid . mark . inet_proto . inet_service", {}}),
      filledByRules(kDeniedOut, mostPorts),
      filledByRules(kDeniedIn, mostPorts),
  };
  return table;
}

/// What both kinds of rules have.
std::vector<nft::Chain> commonChains() {
  return {
      plain("exempt4", {"meta l4proto 2 accept"}),
      // MLD, and how neighbours and routers find each other.
      plain("exempt6", {"icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept"}),
      plain("by_dport", permitRules("dport")),
      plain("by_sport", permitRules("sport")),
  };
}

void addSide(const Side& side, nft::Table& table) {
  std::vector<std::string> rules = sideRules(side);
  rules.insert(rules.begin(), side.gateways.begin(), side.gateways.end());
  table.chains.push_back({side.chain, "", 0, std::move(rules)});
  table.chains.push_back({"ask_" + side.chain, "", 0, askRules(side)});
}

/// Not of one that goes to several, each of which is judged for itself; nor of ICMP about a flow,
/// whose sender may be anybody.
std::vector<std::string> stampRules(const std::string& port) {
  return {"meta pkttype { broadcast, multicast } return",
          "ip daddr 224.0.0.0-255.255.255.255 return", "ip6 daddr ff00::/8 return",
          "ct state related return", "ct mark set " + port + " map @generations"};
}

nft::Set filledBy(nft::Set set, std::string how) {
  set.filledBy = std::move(how);
  return set;
}

/// Sets by which flows are counted; `key`: the type of what a sender is known by.
void addShareSets(const char* key, const std::string& suffix, nft::Table& table) {
  const std::string size = fmt::format("size {}; ", kMostPorts);
  const std::string counts = size + "flags dynamic;";
  table.sets.push_back(filledBy({"held" + suffix, key, {}}, counts));
  table.sets.push_back(filledBy({"held_more" + suffix, key, {}}, counts));
  table.sets.push_back(
      filledBy({"crowded" + suffix, key, {}}, size + "flags dynamic,timeout; timeout 10m;"));
}

/// Of the first packet of each flow. Who is crowded stays so for ten minutes, so that beginning and
/// ceasing gains a sender a few flows an hour.
void addShareRules(const std::string& key, const std::string& suffix, Share share,
                   std::uint32_t mostFlows, std::vector<std::string> before, nft::Table& table) {
  const auto partOf = [&](std::uint32_t parts) {
    return std::max(mostFlows / kParts * parts, kCountOneOf);
  };
  std::vector<std::string> rules = std::move(before);
  rules.push_back(
      fmt::format("{} != @crowded{} numgen random mod {} != 0 return", key, suffix, kCountOneOf));
  rules.push_back(fmt::format("{} != @crowded{} goto sampled{}", key, suffix, suffix));
  rules.push_back(
      fmt::format("add @held_more{0} {{ {1} ct count over {2} }} update @crowded{0} {{ {1} }} "
                  "meta mark set {3} accept",
                  suffix, key, partOf(share.exactly), kOver));
  table.chains.push_back({"first" + suffix, "", 0, std::move(rules)});
  table.chains.push_back(
      {"sampled" + suffix,
       "",
       0,
       {fmt::format("add @held{0} {{ {1} ct count over {2} }} update @crowded{0} {{ {1} }}", suffix,
                    key, partOf(share.loosely) / kCountOneOf)}});
}

/// Drops what the other table found to be beyond a share, here where its port is known; where that
/// table sees no port, tells it which it is.
void addShares(Tracking tracking, nft::Table& table) {
  table.counters.emplace_back(kBeyond);
  table.sets.push_back(filledByRules(kBeyond, kMostPorts));
  auto& forward = table.chains.front().rules;
  forward.insert(forward.begin() + 1, std::string("meta mark ") + kOver + " goto beyond_share");
  table.chains.push_back(denial("beyond_share", kBeyond, kBeyond, "iifname"));
  if (tracking != Tracking::BrNetfilter) return;
  table.sets.push_back(mapOf("numbers", "ifname", "mark"));
  // Who has none keeps 0, as frames come from another namespace.
  table.chains.push_back(
      {"from", "prerouting", kNumberPriority, {"meta mark set iifname map @numbers"}});
}

nft::Table rulesTable(Tracking tracking, std::uint32_t mostFlows) {
  nft::Table table = emptyRules("bridge", kMostPorts);
  const std::string passes = std::string("meta mark ") + kPasses;
  table.chains = {
      {"forward",
       "forward",
       kForwardPriority,
       {passes + " ether type { ip, ip6 } accept", "iifname @isolated goto judge",
        "oifname @isolated goto judge"}},
      // What isn't ARP or IP has no address: it passes where everybody may send anything.
      plain("judge", {"ether type vmap { arp : accept, ip : jump exempt4, ip6 : jump exempt6 }",
                      std::string("meta mark ") + kReply + " goto replies", "jump egress",
                      "jump ingress", "goto judged"}),
      plain("replies", {"jump egress_of_reply", "jump ingress_of_reply", "goto judged"}),
      plain("judged",
            {"meta priority set none", std::string("meta mark set ") + kJudged, "accept"}),
      denial("denied_sent", kDeniedEgress, kDeniedOut, "iifname"),
      denial("denied_got", kDeniedIngress, kDeniedIn, "oifname"),
      denial("denied_answer_to", kDeniedEgress, kDeniedOut, "oifname"),
      denial("denied_answer_of", kDeniedIngress, kDeniedIn, "iifname"),
  };
  for (nft::Chain& chain : commonChains()) table.chains.push_back(std::move(chain));
  for (const Side& side : std::initializer_list<Side>{
           {"egress", "iifname", "egress", "daddr", "by_dport", "denied_sent", {}},
           {"ingress", "oifname", "ingress", "saddr", "by_dport", "denied_got",
            gatewayRules("iifname @gateways", "sport")},
           // Mirrored: who gets an answer is who began.
           {"egress_of_reply", "oifname", "egress", "saddr", "by_sport", "denied_answer_to", {}},
           {"ingress_of_reply", "iifname", "ingress", "daddr", "by_sport", "denied_answer_of",
            gatewayRules("oifname @gateways", "dport")}}) {
    addSide(side, table);
  }
  if (mostFlows > 0) addShares(tracking, table);
  return table;
}

/// In a pod flows are known where they are judged: one table does both, and a packet's mark is its
/// own but while it is judged.
nft::Table podRulesTable() {
  nft::Table table = emptyRules("inet", kMostLinks);
  table.sets.push_back(mapOf("generations", "ifname", "mark"));
  table.sets.push_back({"current", "ifname . mark", {}});
  table.sets.push_back({"gateways4", "ifname . ipv4_addr", {}});
  table.sets.push_back({"gateways6", "ifname . ipv6_addr", {}});
  const auto base = [&](const char* name, const char* hook, int priority, const std::string& port,
                        const std::string& side) {
    table.chains.push_back({name,
                            hook,
                            priority,
                            {port + " != @isolated return",
                             "ct state established,related " + port + " . ct mark @current accept",
                             "meta nfproto vmap { ipv4 : jump exempt4, ipv6 : jump exempt6 }",
                             std::string("ct direction reply goto ") + name + "_reply",
                             "jump " + side, std::string("goto ") + name + "_judged"}});
    const std::string mirrored = side == "egress" ? "ingress" : "egress";
    table.chains.push_back(
        {std::string(name) + "_reply",
         "",
         0,
         {"jump " + mirrored + "_of_reply", std::string("goto ") + name + "_judged"}});
    std::vector<std::string> judged = {"meta priority set none", "meta mark set 0"};
    for (std::string& rule : stampRules(port)) judged.push_back(std::move(rule));
    table.chains.push_back({std::string(name) + "_judged", "", 0, std::move(judged)});
  };
  base("sent", "postrouting", kSentPriority, "oifname", "egress");
  base("got", "prerouting", kKnownPriority, "iifname", "ingress");
  table.chains.push_back(denial("denied_sent", kDeniedEgress, kDeniedOut, "oifname"));
  table.chains.push_back(denial("denied_got", kDeniedIngress, kDeniedIn, "iifname"));
  table.chains.push_back(denial("denied_answer_to", kDeniedEgress, kDeniedOut, "iifname"));
  table.chains.push_back(denial("denied_answer_of", kDeniedIngress, kDeniedIn, "oifname"));
  for (nft::Chain& chain : commonChains()) table.chains.push_back(std::move(chain));
  for (const Side& side : std::initializer_list<Side>{
           {"egress", "oifname", "egress", "daddr", "by_dport", "denied_sent", {}},
           {"ingress", "iifname", "ingress", "saddr", "by_dport", "denied_got",
            gatewayRulesInPod("iifname", "saddr", "sport")},
           {"egress_of_reply", "iifname", "egress", "saddr", "by_sport", "denied_answer_to", {}},
           {"ingress_of_reply", "oifname", "ingress", "daddr", "by_sport", "denied_answer_of",
            gatewayRulesInPod("oifname", "daddr", "dport")}}) {
    addSide(side, table);
  }
  return table;
}

/// A zone for each link. Other links' flows are the pod's own affair.
nft::Table podFlowsTable() {
  nft::Table table;
  table.family = "inet";
  table.name = "multinet-flows";
  nft::Set zones{"zones", "typeof oifname", {}};
  zones.value = "ct zone";
  table.sets = {{"bridges", "ifname", {}}, std::move(zones)};
  table.chains = {{"zone_got", "prerouting", kInetZonePriority, {"ct zone set iifname map @zones"}},
                  {"zone_sent", "output", kInetZonePriority, {"ct zone set oifname map @zones"}}};
  return table;
}

nft::Table flowsTable(Tracking tracking, std::uint32_t mostFlows) {
  const bool ofBridges = tracking == Tracking::Bridge;
  // In the inet hooks that br_netfilter runs, the bridge is the interface.
  const std::string in = ofBridges ? "meta ibrname" : "iifname";
  const std::string out = ofBridges ? "meta obrname" : "oifname";
  nft::Table table;
  table.family = ofBridges ? "bridge" : "inet";
  table.name = "multinet-flows";
  nft::Set zones{"zones", "typeof " + in, {}};
  zones.value = "ct zone";
  table.sets = {
      {"bridges", "ifname", {}},
      std::move(zones),
      mapOf("generations", "ifname", "mark"),
      {"current", "ifname . mark", {}},
  };
  // Each bridge of the set has a zone. Rules with `ct` have all bridges of the namespace tracked.
  std::vector<std::string> zone = {"ct zone set " + in + " map @zones return"};
  if (ofBridges) zone.emplace_back("notrack");
  // Most packets are of flows that were judged: they pass by few lookups.
  table.chains = {
      {"zone", "prerouting", ofBridges ? kBridgeZonePriority : kInetZonePriority, std::move(zone)},
      {"known",
       "prerouting",
       kKnownPriority,
       {"ct state established,related " + in + " . ct mark @current meta mark set " + kPasses +
            " return",
        in + " != @bridges return", "meta mark set 0",
        std::string("ct direction reply meta mark set ") + kReply}},
      {"left",
       "postrouting",
       0,
       {std::string("meta mark ") + kPasses + " meta mark set 0 return",
        out + " != @bridges return", std::string("meta mark ") + kJudged + " jump judged",
        "meta mark set 0"}},
      plain("judged", stampRules(out)),
  };
  if (mostFlows == 0) return table;
  auto& known = table.chains[1].rules;
  // What isn't in the table yet; its mark still is its port's number, where that is needed.
  known.insert(known.begin() + 2, "ct status & confirmed == 0 jump first");
  if (ofBridges) table.sets.push_back({"tracked", "ifname", {}});
  addShareSets(ofBridges ? "ifname" : "mark", "", table);
  addShareSets("ifname", kWire, table);
  addShareRules(
      ofBridges ? "iifname" : "meta mark", "", kPortShare, mostFlows,
      {std::string(ofBridges ? "iifname != @tracked" : "meta mark 0") + " goto first" + kWire},
      table);
  addShareRules(in, kWire, kWireShare, mostFlows, {}, table);
  return table;
}

}  // namespace

nft::Table rawTable(const std::set<std::string>& links) {
  nft::Table table;
  table.family = "netdev";
  table.name = "multinet-raw";
  table.counters = {kDeniedRaw};
  const std::string drop = std::string(" counter name \"") + kDeniedRaw + "\" drop";
  for (const std::string& link : links) {
    nft::Chain chain{"sent_" + link, "egress", kRawPriority, {}};
    chain.device = link;
    // Read of a packet's route; a packet without one doesn't match.
    chain.rules = {"meta rtclassid != 0xffffffff accept",
                   "ether type { 0x0800, 0x86dd, 0x8100, 0x88a8 }" + drop,
                   "meta protocol { 0x0800, 0x86dd, 0x8100, 0x88a8 }" + drop};
    table.chains.push_back(std::move(chain));
  }
  return table;
}

Tables tablesFor(Tracking tracking, std::uint32_t mostFlows) {
  if (tracking == Tracking::Pod) return {podRulesTable(), podFlowsTable()};
  return {rulesTable(tracking, mostFlows), flowsTable(tracking, mostFlows)};
}

}  // namespace multinet::agent::policing
