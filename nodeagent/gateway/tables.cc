#include "nodeagent/gateway/tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/encoding.h"
#include "nodeagent/drivers/hash_name.h"
#include "nodeagent/model/gateway_ports.h"

namespace multinet::agent::gateway {
namespace {

/// Who had which endpoint, of a family in a gateway. Beyond these nobody is remembered.
constexpr unsigned kMostKept = 65536;
constexpr unsigned kPairBits = 2;  // four addresses each: as IPv4 has a broadcast address
constexpr std::uint16_t kFirstPort = 1024;
constexpr unsigned kPorts = 64512;  // from there on
/// Of clients who are judged: the node asks of each of their packets whether they still are let in.
constexpr std::uint16_t kFirstOfJudged = kProbePort + 1;
constexpr unsigned kPortsOfJudged = kFirstPort - kFirstOfJudged;

// Before kube-proxy's, which has dstnat, srcnat and filter.
constexpr int kBeforeDstnat = -101;
constexpr int kBeforeSrcnat = 99;
constexpr int kBeforeFilter = -1;
// Of a gateway's namespace nobody else has rules.
constexpr int kDstnat = -100;
constexpr int kSrcnat = 100;

const IpPrefix& range4() {
  static const IpPrefix kRange(IpAddress::fromV4({169, 254, 208, 0}), 20);
  return kRange;
}

const IpPrefix& range6() {
  static const IpPrefix kRange(IpAddress::parse("fd6d:6e67::").value_or(IpAddress()), 112);
  return kRange;
}

/// Beside range4().
const IpPrefix& clients4() {
  static const IpPrefix kRange(IpAddress::fromV4({169, 254, 224, 0}), 19);
  return kRange;
}

/// The kernel chooses by 32 bits, and takes the first address of a range that has them all free
/// (nf_nat_core.c, find_best_ips_proto).
const IpPrefix& clients6() {
  static const IpPrefix kRange(IpAddress::parse("fd6d:6e67:0:1::").value_or(IpAddress()), 100);
  return kRange;
}

InterfaceAddress addressOf(const IpPrefix& range, unsigned number, unsigned place) {
  const unsigned length = (range.isV4() ? 32U : 128U) - kPairBits;
  return {range.at((number << kPairBits) + place), length};
}

std::string protocolOf(const Way& way) {
  return std::to_string(static_cast<unsigned>(way.transport));
}

/// `6 . 4000`
std::string portText(const Way& way, std::uint16_t port) {
  return protocolOf(way) + " . " + std::to_string(port);
}

/// `6 . 4000 . 3 : 10.20.0.1 . 8080`
std::string slotText(const Way& way, std::uint16_t port, std::size_t slot, const Target& target) {
  return portText(way, port) + " . " + std::to_string(slot) + " : " + target.address.str() + " . " +
         std::to_string(target.port);
}

std::string entranceText(const Way& way, const Entrance& entrance) {
  const std::string port = portText(way, entrance.port);
  return entrance.address ? entrance.address->str() + " . " + port : port;
}

std::string prefixText(const IpPrefix& prefix) {
  const bool isOne = prefix.length() == (prefix.isV4() ? 32U : 128U);
  return isOne ? prefix.first().str() : prefix.str();
}

struct FamilyWords {
  const char* ip;       ///< of rules
  const char* address;  ///< the type of an address
  const char* nfproto;
  const char* loopback;  ///< where no NodePort is
  const char* suffix;    ///< of names
};
constexpr FamilyWords kV4{"ip", "ipv4_addr", "ipv4", "127.0.0.0/8", "4"};
constexpr FamilyWords kV6{"ip6", "ipv6_addr", "ipv6", "::1", "6"};

/// What of the node's table is of one family.
class NodeFamily {
 public:
  explicit NodeFamily(const FamilyWords& words) : words_(words) {
    const std::string address = words.address;
    const std::string port = "inet_proto . inet_service";
    nodePorts_ = {named("node_ports"), port, {}, address + " . inet_service"};
    entrances_ = {named("entrances"), address + " . " + port, {}, address + " . inet_service"};
    limited_ = {named("limited"), address + " . " + port, {}};
    sources_ = {named("sources"), address + " . " + port + " . " + address, {}, "", true};
    refused_ = {named("refused"), address + " . " + port, {}};
    addresses_ = {named("addresses"), address, {}};
    keeping_ = {named("keeping"), address + " . " + port, {}};
    judgedPorts_ = {
        named("judged_ports"), port + " . " + address, {}, address + " . inet_service", true};
    judged_ = {named("judged"),
               address + " . " + port + " . " + address,
               {},
               address + " . inet_service",
               true};
    admitted_ = {named("admitted"), address + " . " + port + " . " + address, {}, "", true};
  }

  /// `judged`: the port of those whom policies admit; 0: there is none.
  void lead(const Way& way, const IpAddress& gateway, std::uint16_t port, std::uint16_t judged) {
    for (const std::uint16_t one : {port, judged}) {
      if (way.affinity == 0 || one == 0) continue;
      keeping_.elements.insert(gateway.str() + " . " + portText(way, one));
    }
    for (const Entrance& entrance : way.entrances) {
      const std::string text = entranceText(way, entrance);
      if (!taken_.insert(text).second) continue;
      nft::Set& map = entrance.address ? entrances_ : nodePorts_;
      map.elements.insert(text + " : " + gateway.str() + " . " + std::to_string(port));
      if (judged != 0) {
        nft::Set& judging = entrance.address ? judged_ : judgedPorts_;
        for (const policy::AddressRange& clients : way.clients) {
          judging.elements.insert(text + " . " + policy::textOf(clients) + " : " + gateway.str() +
                                  " . " + std::to_string(judged));
        }
      }
      if (!entrance.address || entrance.sources.empty()) continue;
      limited_.elements.insert(text);
      for (const IpPrefix& source : entrance.sources) {
        sources_.elements.insert(text + " . " + prefixText(source));
      }
    }
  }
  /// Also of a way that leads nowhere now: its connections are there still.
  void admit(const Way& way, const IpAddress& gateway, std::uint16_t judged) {
    for (const policy::AddressRange& clients : way.clients) {
      admitted_.elements.insert(gateway.str() + " . " + portText(way, judged) + " . " +
                                policy::textOf(clients));
    }
  }
  /// Of a passage's datagrams.
  void leadBack(const IpAddress& node, const IpAddress& gateway) {
    const std::string port = std::to_string(kProbePort);
    const std::string udp = std::to_string(static_cast<unsigned>(Transport::Udp));
    entrances_.elements.insert(node.str() + " . " + udp + " . " + port + " : " + gateway.str() +
                               " . " + port);
  }
  void refuse(const Way& way) {
    for (const Entrance& entrance : way.entrances) {
      const std::string text = entranceText(way, entrance);
      // A NodePort that leads nowhere is a port of the node's at which nobody listens.
      if (entrance.address && taken_.insert(text).second) refused_.elements.insert(text);
    }
  }
  void refuse(const IpAddress& address) { addresses_.elements.insert(address.str()); }

  void addTo(nft::Table& table) const {
    table.sets.insert(table.sets.end(), {nodePorts_, entrances_, limited_, sources_, refused_,
                                         addresses_, keeping_, judgedPorts_, judged_, admitted_});
  }
  /// The same client is the same to the gateway, by whichever connection.
  [[nodiscard]] std::string hiding(const IpPrefix& clients) const {
    const std::string ip = words_.ip;
    return "oifname @gateways " + ip + " daddr . meta l4proto . th dport @" + keeping_.name +
           " snat " + ip + " to " + clients.first().str() + "-" + clients.last().str() +
           " persistent";
  }
  [[nodiscard]] std::vector<std::string> leading() const {
    const std::string ip = words_.ip;
    const std::string to = ip + " daddr . meta l4proto . th dport ";
    const std::string transports = "meta l4proto { 6, 17 } ";
    return {to + "@" + limited_.name + " " + ip + " daddr . meta l4proto . th dport . " + ip +
                " saddr != @" + sources_.name + " drop",
            // Of a map with ranges nft doesn't see that its key is a protocol's.
            transports + "dnat " + ip + " to " + to + ". " + ip + " saddr map @" + judged_.name,
            "dnat " + ip + " to " + to + "map @" + entrances_.name,
            transports + "fib daddr type local " + ip + " daddr != " + words_.loopback + " dnat " +
                ip + " to meta l4proto . th dport . " + ip + " saddr map @" + judgedPorts_.name,
            "fib daddr type local " + ip + " daddr != " + words_.loopback + " dnat " + ip +
                " to meta l4proto . th dport map @" + nodePorts_.name};
  }
  /// Of each packet: who was let in may not be any more.
  [[nodiscard]] std::string judging() const {
    const std::string ip = words_.ip;
    return fmt::format(
        "oifname @gateways meta l4proto {{ 6, 17 }} th dport {}-{} {} daddr . meta l4proto . th "
        "dport . {} saddr != @{} drop",
        kFirstOfJudged, kFirstOfJudged + kPortsOfJudged - 1, ip, ip, admitted_.name);
  }
  [[nodiscard]] std::vector<std::string> refusing() const {
    const std::string ip = words_.ip;
    const std::string to = ip + " daddr . meta l4proto . th dport @" + refused_.name;
    const std::string any = ip + " daddr @" + addresses_.name;
    return {
        to + " meta l4proto 6 reject with tcp reset", to + " reject with icmpx port-unreachable",
        any + " meta l4proto 6 reject with tcp reset", any + " reject with icmpx port-unreachable"};
  }

 private:
  [[nodiscard]] std::string named(const char* what) const {
    return std::string(what) + words_.suffix;
  }

  const FamilyWords& words_;
  nft::Set nodePorts_;
  nft::Set entrances_;
  nft::Set limited_;
  nft::Set sources_;
  nft::Set refused_;
  nft::Set addresses_;
  nft::Set keeping_;  ///< ways by whose gateways clients keep their endpoint
  // Of clients whom policies admit: where they are led, and who may come by which port.
  nft::Set judgedPorts_;
  nft::Set judged_;
  nft::Set admitted_;
  std::set<std::string> taken_;
};

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  std::ranges::move(more, std::back_inserter(to));
}

/// By which number each target of a way is remembered: by a hash of it, so that it is the same in
/// each agent.
std::map<Target, std::uint32_t> numbersOf(const Way& way) {
  std::map<Target, std::uint32_t> numbers;
  std::set<std::uint32_t> taken = {0};  // nobody
  std::vector<Target> targets = way.targets;
  std::ranges::sort(targets);
  for (const Target& target : targets) {
    const std::uint64_t hash = fnv1a(target.address.str() + " " + std::to_string(target.port));
    auto number = static_cast<std::uint32_t>(hash ^ (hash >> 32U));
    while (!taken.insert(number).second) ++number;
    numbers.emplace(target, number);
  }
  return numbers;
}

/// What of a gateway's table is about clients that keep their endpoint. `mark` is a slot at first,
/// then the number of the target; what a client had is in the connection's mark meanwhile. Both are
/// nobody else's in a gateway's namespace. A client is the last 32 bits of its address: all that
/// differs in clientsRange(), and nft 1.0.6 has no register for a map's value beside a whole
/// address of IPv6 (netlink_linearize.c, netlink_gen_map_stmt).
struct Keeping {
  nft::Set numbers{"numbers", "inet_proto . inet_service . mark", {}, "mark"};  ///< by slot
  nft::Set usable{"usable", "inet_proto . inet_service . mark", {}};
  nft::Set times{"times", "inet_proto . inet_service", {}, "mark"};
  nft::Set had{"had", "typeof @nh,96,32 . meta l4proto . th dport", {}, "meta mark"};
  std::set<std::uint32_t> seconds;

  Keeping() { had.filledBy = "size " + std::to_string(kMostKept) + "; flags dynamic,timeout;"; }

  void add(const Way& way, std::uint16_t port, const std::map<Target, std::uint32_t>& targets,
           std::size_t slots) {
    const std::string text = portText(way, port);
    for (std::size_t slot = 0; slot < slots; ++slot) {
      const std::uint32_t number = targets.at(way.targets[slot % way.targets.size()]);
      numbers.elements.insert(text + " . " + std::to_string(slot) + " : " + std::to_string(number));
    }
    for (const auto& [target, number] : targets) {
      usable.elements.insert(text + " . " + std::to_string(number));
    }
    times.elements.insert(text + " : " + std::to_string(way.affinity));
    seconds.insert(way.affinity);
  }
  /// Of connections that begin: the rest of them follows. The time of whoever comes again begins
  /// anew; what is remembered isn't changed by `update`, so it is taken out where it counts no
  /// more.
  [[nodiscard]] std::vector<std::string> rules(const std::string& in) const {
    if (seconds.empty()) return {};
    const std::string way = "meta l4proto . th dport";
    std::vector<std::string> all = {in + "meta mark set " + way + " . meta mark map @numbers"};
    for (const auto& [family, client] : {std::pair("ipv4", "@nh,96,32"), {"ipv6", "@nh,160,32"}}) {
      const std::string of = fmt::format("{}meta nfproto {} ", in, family);
      all.push_back(fmt::format("{}ct mark set {} . {} map @had", of, client, way));
      all.push_back(fmt::format(
          "{0}ct mark != 0 {1} . ct mark != @usable delete @had {{ {2} . {1} : ct mark }}", of, way,
          client));
    }
    all.push_back(in + way + " . ct mark @usable meta mark set ct mark");
    all.push_back(in + "ct mark set " + way + " map @times");
    for (const std::uint32_t one : seconds) {
      for (const auto& [family, client] :
           {std::pair("ipv4", "@nh,96,32"), {"ipv6", "@nh,160,32"}}) {
        all.push_back(fmt::format(
            "{0}meta nfproto {1} ct mark {2} update @had {{ {3} . {4} timeout {2}s : meta mark }}",
            in, family, one, client, way));
      }
    }
    return all;
  }
};

/// The port says what a packet is, see gateway_ports.h.
std::vector<std::string> hiding() {
  std::vector<std::string> rules;
  for (const Transport transport : {Transport::Tcp, Transport::Udp}) {
    const std::string of =
        fmt::format("ct status dnat meta l4proto {} ", static_cast<unsigned>(transport));
    rules.push_back(fmt::format("{}ct original proto-dst {}-{} masquerade to :{}-{}", of,
                                kFirstOfJudged, kFirstOfJudged + kPortsOfJudged - 1,
                                kFirstJudgedPort, kLastJudgedPort));
    rules.push_back(fmt::format("{}masquerade to :{}-{}", of, kFirstClientPort, kLastClientPort));
  }
  return rules;
}

/// Endpoints whose policies were asked about a way's clients. Who isn't one any more may have
/// others by now, and connections still.
struct Asked {
  nft::Set four{"asked4", "inet_proto . inet_service . ipv4_addr . inet_service", {}};
  nft::Set six{"asked6", "inet_proto . inet_service . ipv6_addr . inet_service", {}};

  void add(const Way& way, const WayPorts& ports) {
    const auto port = ports.find(judgedName(way));
    if (way.clients.empty() || port == ports.end()) return;
    nft::Set& set = way.family == IpFamily::V4 ? four : six;
    for (const Target& target : way.here) {
      set.elements.insert(portText(way, port->second) + " . " + target.address.str() + " . " +
                          std::to_string(target.port));
    }
  }
  /// Of each packet from the node.
  [[nodiscard]] std::vector<std::string> rules(const std::string& in) const {
    std::vector<std::string> all;
    for (const auto& [ip, set] : {std::pair("ip", &four), std::pair("ip6", &six)}) {
      all.push_back(fmt::format(
          "{}meta l4proto {{ 6, 17 }} ct original proto-dst {}-{} meta l4proto . ct original "
          "proto-dst . {} daddr . th dport != @{} drop",
          in, kFirstOfJudged, kFirstOfJudged + kPortsOfJudged - 1, ip, set->name));
    }
    return all;
  }
};

/// Each way, and once more for those of its clients who have a port of their own.
std::vector<Way> withJudged(const std::vector<Way>& ways) {
  std::vector<Way> all;
  for (const Way& way : ways) {
    all.push_back(way);
    if (way.clients.empty()) continue;
    all.push_back(way);
    all.back().name = judgedName(way);
  }
  return all;
}

/// Gives `names` those of the ports that nobody has, by their hashes.
void allot(const std::set<std::string>& names, std::uint16_t first, unsigned count,
           WayPorts& ports) {
  std::set<unsigned> taken;
  for (const auto& [name, port] : ports) {
    if (port >= first && port < first + count) taken.insert(port - first);
  }
  for (const std::string& name : names) {
    if (taken.size() >= count) return;
    auto offset = static_cast<unsigned>(fnv1a(name) % count);
    while (!taken.insert(offset).second) offset = (offset + 1) % count;
    ports[name] = static_cast<std::uint16_t>(first + offset);
  }
}

/// Slots that a random number chooses from: few where few are enough to be fair.
std::size_t slotsFor(const std::vector<Way>& ways) {
  constexpr std::size_t kFewTargets = 4;
  constexpr std::size_t kFewSlots = 16;
  const bool few =
      std::ranges::all_of(ways, [](const Way& way) { return way.targets.size() <= kFewTargets; });
  return few ? kFewSlots : kMostTargets;
}

}  // namespace

Pair pairOf(const NetworkUid& network, unsigned number) {
  return {drivers::hashName("mng", network.str()), addressOf(range4(), number, 1),
          addressOf(range4(), number, 2), addressOf(range6(), number, 1),
          addressOf(range6(), number, 2)};
}

std::optional<unsigned> numberOf(const InterfaceAddress& node4) {
  if (!range4().contains(node4.address)) return std::nullopt;
  const auto offset = static_cast<unsigned>(node4.address.number() - range4().first().number());
  const unsigned number = offset >> kPairBits;
  if (addressOf(range4(), number, 1) != node4) return std::nullopt;
  return number;
}

const IpPrefix& clientsRange(IpFamily family) {
  return family == IpFamily::V4 ? clients4() : clients6();
}

bool isPairs(const IpAddress& address) {
  return range4().contains(address) || range6().contains(address);
}

std::string judgedName(const Way& way) {
  return way.name + " judged";
}

WayPorts portsFor(const std::vector<Way>& ways, const WayPorts& before) {
  WayPorts ports;
  std::set<std::string> fresh;  // in order, so that agents that begin anew agree
  std::set<std::string> judged;
  const auto take = [&](const std::string& name, std::set<std::string>& others) {
    const auto had = before.find(name);
    if (had == before.end()) {
      others.insert(name);
    } else {
      ports.insert(*had);
    }
  };
  for (const Way& way : ways) {
    take(way.name, fresh);
    if (!way.clients.empty()) take(judgedName(way), judged);
  }
  allot(fresh, kFirstPort, kPorts, ports);
  allot(judged, kFirstOfJudged, kPortsOfJudged, ports);
  return ports;
}

nft::Table gatewayTable(const std::vector<Way>& ways, const WayPorts& ports) {
  const std::size_t slots = slotsFor(ways);
  nft::Set four{"slots4", "inet_proto . inet_service . mark", {}, "ipv4_addr . inet_service"};
  nft::Set six{"slots6", "inet_proto . inet_service . mark", {}, "ipv6_addr . inet_service"};
  Keeping keeping;
  Asked asked;
  for (const Way& way : ways) asked.add(way, ports);
  for (const Way& way : withJudged(ways)) {
    const auto port = ports.find(way.name);
    if (way.targets.empty() || port == ports.end()) continue;
    nft::Set& set = way.family == IpFamily::V4 ? four : six;
    if (way.affinity != 0) {
      const auto numbers = numbersOf(way);
      keeping.add(way, port->second, numbers, slots);
      for (const auto& [target, number] : numbers) {
        set.elements.insert(slotText(way, port->second, number, target));
      }
      continue;
    }
    for (std::size_t slot = 0; slot < slots; ++slot) {
      const Target& target = way.targets[slot % way.targets.size()];
      set.elements.insert(slotText(way, port->second, slot, target));
    }
  }
  const std::string in = std::string("iifname \"") + kInnerDevice + "\" ";
  const std::string slot = " to meta l4proto . th dport . meta mark map @";
  std::vector<std::string> leading = {in + "meta mark set numgen random mod " +
                                      std::to_string(slots)};
  append(leading, keeping.rules(in));
  append(leading, {in + "meta nfproto ipv4 dnat ip" + slot + four.name,
                   in + "meta nfproto ipv6 dnat ip6" + slot + six.name});
  std::vector<std::string> passing = asked.rules(in);
  append(passing, {"ct state established,related accept", in + "ct status dnat accept", "drop"});
  return {"multinet_gateway",
          {four, six, keeping.numbers, keeping.usable, keeping.times, keeping.had, asked.four,
           asked.six},
          {{"lead", "prerouting", kDstnat, leading, "nat"},
           {"pass", "forward", 0, passing},
           {"hide", "postrouting", kSrcnat, hiding(), "nat"}}};
}

nft::Table nodeTable(const std::vector<Opened>& gateways, const std::vector<Way>& closed,
                     const std::vector<IpAddress>& addresses) {
  NodeFamily four(kV4);
  NodeFamily six(kV6);
  nft::Set devices{"gateways", "ifname", {}};
  const auto of = [&](IpFamily family) -> NodeFamily& {
    return family == IpFamily::V4 ? four : six;
  };
  for (const Opened& gateway : gateways) {
    devices.elements.insert(gateway.pair.device);
    const Pair& pair = gateway.pair;
    four.leadBack(pair.node4.address, pair.gateway4.address);
    if (gateway.hasIpv6) six.leadBack(pair.node6.address, pair.gateway6.address);
    for (const Way& way : gateway.ways) {
      const auto port = gateway.ports.find(way.name);
      const bool isV4 = way.family == IpFamily::V4;
      const IpAddress& at = (isV4 ? pair.gateway4 : pair.gateway6).address;
      const auto found = gateway.ports.find(judgedName(way));
      const std::uint16_t judged =
          way.clients.empty() || found == gateway.ports.end() ? std::uint16_t{0} : found->second;
      if (judged != 0) of(way.family).admit(way, at, judged);
      if (way.targets.empty() || port == gateway.ports.end() || (!isV4 && !gateway.hasIpv6)) {
        of(way.family).refuse(way);
      } else {
        of(way.family).lead(way, at, port->second, judged);
      }
    }
  }
  for (const Way& way : closed) of(way.family).refuse(way);
  for (const IpAddress& address : addresses) of(address.family()).refuse(address);
  nft::Table table{"multinet_services", {devices}, {}};
  four.addTo(table);
  six.addTo(table);
  std::vector<std::string> leading = four.leading();
  append(leading, six.leading());
  std::vector<std::string> refusing = {four.judging(), six.judging(),
                                       "ct state established,related accept"};
  append(refusing, four.refusing());
  append(refusing, six.refusing());
  table.chains = {
      {"come_in", "prerouting", kBeforeDstnat, leading, "nat"},
      {"go_out", "output", kBeforeDstnat, leading, "nat"},
      {"hide",
       "postrouting",
       kBeforeSrcnat,
       {four.hiding(clients4()), six.hiding(clients6()), "oifname @gateways masquerade"},
       "nat"},
      {"refuse_forwarded", "forward", kBeforeFilter, refusing},
      {"refuse_own", "output", kBeforeFilter, refusing}};
  return table;
}

bool isEmpty(const nft::Table& table) {
  return std::ranges::all_of(table.sets, [](const nft::Set& set) { return set.elements.empty(); });
}

}  // namespace multinet::agent::gateway
