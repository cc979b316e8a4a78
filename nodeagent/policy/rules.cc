#include "nodeagent/policy/rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <cstdio>
#include <iterator>
#include <string_view>
#include <vector>

namespace multinet::agent::policing {
namespace {

using policy::Number;

constexpr std::array kAddressMaps = {"classes4", "classes6", "ranges4", "ranges6"};

std::string markOf(Number number) {
  return std::to_string(number);
}

/// As tc writes a handle.
std::string classidOf(Number number) {
  std::array<char, 24> text{};
  constexpr unsigned kHalf = 16;
  constexpr Number kLow = 0xffff;
  std::snprintf(text.data(), text.size(), "%x:%x", number >> kHalf, number & kLow);
  return text.data();
}

std::optional<Number> readNumber(std::string_view text, int base = 10) {
  Number number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Number> readClassid(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto high = readNumber(text.substr(0, colon), 16);
  const auto low = readNumber(text.substr(colon + 1), 16);
  if (!high || !low) return std::nullopt;
  return (*high << 16U) | *low;
}

Number networkNumber(const Standing& standing) {
  return kEndOfNumbers + standing.zone;
}

Number kernelNumber(const Standing& standing, Number number) {
  if (number == policy::kEverybody) return number;
  const auto found = standing.numbers.find(number);
  return found == standing.numbers.end() ? kEndOfNumbers : found->second;
}

std::pair<std::string, std::string> addressElement(const policy::AddressRange& range, Number peers,
                                                   const Standing& standing) {
  const bool isOne = range.first == range.last;
  const std::string set =
      std::string(isOne ? "classes" : "ranges") + (range.first.isV4() ? "4" : "6");
  return {set, markOf(networkNumber(standing)) + " . " + policy::textOf(range) + " : " +
                   markOf(kernelNumber(standing, peers))};
}

const char* numberOf(api::Protocol protocol) {
  switch (protocol) {
    case api::Protocol::TCP:
      return "6";
    case api::Protocol::UDP:
      return "17";
    case api::Protocol::SCTP:
      break;
  }
  return "132";
}

/// All numbers of protocols but those of numberOf(): where these have ports, such a packet has
/// something else, and any of it fits. One of less than four bytes behind its IP header has nothing
/// there, and isn't let pass.
constexpr std::array kOthers = {"0-5", "7-16", "18-131", "133-255"};
constexpr const char* kAllPorts = "0-65535";

void insertPermit(const policy::Permit& permit, const Standing& standing, nft::Elements& into) {
  const std::string who = classidOf(kernelNumber(standing, permit.subject)) + " . " +
                          markOf(kernelNumber(standing, permit.peers));
  if (permit.others) {
    for (const char* const numbers : kOthers) {
      into["ports"].insert(who + " . " + numbers + " . " + kAllPorts);
    }
  } else if (!permit.protocol) {
    into["every"].insert(who);
  } else {
    std::string ports = std::to_string(permit.first);
    if (permit.last != permit.first) ports += "-" + std::to_string(permit.last);
    into["ports"].insert(who + " . " + numberOf(*permit.protocol) + " . " + ports);
  }
}

/// Each subject and class of the program, some of them often.
template <class Take>
void eachNumber(const policy::Program& program, Take take) {
  for (const auto* direction : {&program.egress, &program.ingress}) {
    for (const auto& [pod, subject] : *direction) take(subject);
  }
  for (const auto& [peers, count] : program.addresses.uses()) take(peers);
  for (const auto& permit : program.permits) {
    if (permit.peers != policy::kEverybody) take(permit.peers);
  }
}

std::vector<std::string> partsOf(std::string_view element) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t dot = element.find(" . ");
    const std::size_t colon = element.find(" : ");
    const std::size_t end = std::min(dot, colon);
    parts.emplace_back(element.substr(0, end));
    if (end == std::string_view::npos) return parts;
    element.remove_prefix(end + 3);
  }
}

/// Keys of entries that one map has and the other hasn't so, in one pass.
template <class Map>
void addOthers(const Map& one, const Map& other, std::set<policy::PodKey>& keys) {
  auto left = one.begin();
  auto right = other.begin();
  while (left != one.end() || right != other.end()) {
    auto order = std::strong_ordering::less;
    if (left == one.end()) {
      order = std::strong_ordering::greater;
    } else if (right != other.end()) {
      order = left->first <=> right->first;
    }
    const bool isSame = order == 0 && left->second == right->second;
    if (!isSame) keys.insert(order <= 0 ? left->first : right->first);
    if (order <= 0) ++left;
    if (order >= 0) ++right;
  }
}

}  // namespace

Policed localOf(Policed wanted) {
  std::set<Number> subjects;
  for (auto* direction : {&wanted.program.egress, &wanted.program.ingress}) {
    std::erase_if(*direction, [&](const auto& one) { return !wanted.ports.contains(one.first); });
    for (const auto& [pod, subject] : *direction) subjects.insert(subject);
  }
  std::erase_if(wanted.program.permits,
                [&](const policy::Permit& permit) { return !subjects.contains(permit.subject); });
  return wanted;
}

nft::Elements takeUnused(nft::Elements& gone, const policy::Program& program,
                         const Standing& standing) {
  const auto isGone = [&](const char* set) {
    const auto found = gone.find(set);
    return found != gone.end() && !found->second.empty();
  };
  if (!isGone("every") && !isGone("ports")) return {};
  std::set<Number> used = {policy::kEverybody};
  for (const auto* direction : {&program.egress, &program.ingress}) {
    for (const auto& [pod, subject] : *direction) used.insert(kernelNumber(standing, subject));
  }
  for (const auto& [peers, count] : program.addresses.uses()) {
    used.insert(kernelNumber(standing, peers));
  }
  nft::Elements unused;
  for (const char* const set : {"every", "ports"}) {
    const auto found = gone.find(set);
    if (found == gone.end()) continue;
    std::erase_if(found->second, [&](const std::string& element) {
      const auto parts = partsOf(element);
      const bool isUsed = used.contains(readClassid(parts[0]).value_or(0)) &&
                          used.contains(readNumber(parts[1]).value_or(0));
      if (!isUsed) unused[set].insert(element);
      return !isUsed;
    });
  }
  return unused;
}

/// FNV-1a: two ports of a node that have one number, and so one share, are one in 2^31.
std::uint32_t portNumber(const std::string& port) {
  constexpr std::uint32_t kBasis = 2166136261U;
  constexpr std::uint32_t kPrime = 16777619U;
  std::uint32_t hash = kBasis;
  for (const char c : port) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  return hash | kEndOfNumbers;  // none of the marks by which tables speak
}

Policed portsOfOthers(const Policed& of, const Policed& than) {
  Policed out;
  out.gatewayAddresses = of.gatewayAddresses;
  std::set<policy::PodKey> others;
  addOthers(of.ports, than.ports, others);
  addOthers(of.program.egress, than.program.egress, others);
  addOthers(of.program.ingress, than.program.ingress, others);
  for (const policy::PodKey& key : others) {
    const auto port = of.ports.find(key);
    if (port == of.ports.end()) continue;
    out.ports.insert(*port);
    for (const auto& [from, to] : {std::pair{&of.program.egress, &out.program.egress},
                                   std::pair{&of.program.ingress, &out.program.ingress}}) {
      const auto found = from->find(key);
      if (found != from->end()) to->insert(*found);
    }
  }
  std::ranges::set_difference(of.gateways, than.gateways,
                              std::inserter(out.gateways, out.gateways.end()));
  return out;
}

bool isPoliced(const Policed& wanted) {
  return wanted.track == api::TrackConnections::Always || !wanted.program.egress.empty() ||
         !wanted.program.ingress.empty();
}

void number(const policy::Program& program, Standing& standing, Number& last) {
  eachNumber(program, [&](Number one) {
    if (standing.numbers.contains(one)) return;
    // After two thousand million it begins again: the first are long gone.
    last = last + 1 < kEndOfNumbers ? last + 1 : 1;
    standing.numbers.emplace(one, last);
  });
}

void keepOnly(const policy::Program& program, Standing& standing) {
  constexpr std::size_t kMany = 64;
  std::set<Number> used;
  if (standing.numbers.size() < kMany) return;
  eachNumber(program, [&](Number one) { used.insert(one); });
  if (standing.numbers.size() < 2 * used.size()) return;
  std::erase_if(standing.numbers, [&](const auto& one) { return !used.contains(one.first); });
}

nft::Elements portElements(const Policed& wanted, const Standing& standing) {
  nft::Elements elements;
  // Whoever is on the bridge takes part in its flows.
  for (const auto& [pod, port] : wanted.ports) {
    elements["tracked"].insert(port);
    elements["numbers"].insert(port + " : " + markOf(portNumber(port)));
    elements["networks"].insert(port + " : " + markOf(networkNumber(standing)));
  }
  const auto put = [&](const char* map, const policy::PodKey& pod, Number subject) {
    const std::string& port = wanted.ports.at(pod);
    elements["isolated"].insert(port);
    elements[std::string(map) + "_ports"].insert(port);
    elements[map].insert(port + " : " + classidOf(kernelNumber(standing, subject)));
  };
  for (const auto& [pod, subject] : wanted.program.egress) put("egress", pod, subject);
  for (const auto& [pod, subject] : wanted.program.ingress) {
    put("ingress", pod, subject);
    for (const IpAddress& gateway : wanted.gatewayAddresses) {
      elements[gateway.isV4() ? "gateways4" : "gateways6"].insert(wanted.ports.at(pod) + " . " +
                                                                  gateway.str());
    }
  }
  for (const std::string& port : wanted.gateways) {
    elements["gateways"].insert(port);
    elements["networks"].insert(port + " : " + markOf(networkNumber(standing)));
  }
  return elements;
}

nft::Elements generationElements(const std::string& bridge, std::uint32_t generation) {
  nft::Elements elements;
  elements["generations"].insert(bridge + " : " + markOf(generation));
  elements["current"].insert(bridge + " . " + markOf(generation));
  return elements;
}

nft::Elements flowElements(const Standing& standing) {
  nft::Elements elements;
  if (standing.generation) elements = generationElements(standing.bridge, *standing.generation);
  elements["bridges"].insert(standing.bridge);
  elements["zones"].insert(standing.bridge + " : " + std::to_string(standing.zone));
  return elements;
}

namespace {

template <class Permits>
void insertPermits(const Permits& permits, const Standing& standing, nft::Elements& into) {
  for (const auto& permit : permits) insertPermit(permit, standing, into);
}

}  // namespace

nft::Elements programElements(const policy::AddressClasses& addresses,
                              const std::set<policy::Permit>& permits, const Standing& standing) {
  nft::Elements elements;
  addresses.each([&](const policy::AddressRange& range, Number peers) {
    const auto [set, text] = addressElement(range, peers, standing);
    elements[set].insert(text);
  });
  insertPermits(permits, standing, elements);
  return elements;
}

nft::Elements programElements(
    const std::vector<std::pair<policy::AddressRange, policy::Number>>& addresses,
    const std::vector<policy::Permit>& permits, const Standing& standing) {
  nft::Elements elements;
  for (const auto& [range, peers] : addresses) {
    const auto [set, text] = addressElement(range, peers, standing);
    elements[set].insert(text);
  }
  insertPermits(permits, standing, elements);
  return elements;
}

namespace {

/// Sorts elements of both tables by what they are of.
class Finder {
 public:
  explicit Finder(const nft::Elements& elements) : elements_(elements) {}

  FoundAll run() {
    each("zones", [&](const std::string& element, const auto& parts) {
      const auto zone = parts.size() == 2 ? readNumber(parts[1]) : std::nullopt;
      if (!zone || *zone == 0 || *zone > 0xffff) return false;
      Found& found = all_.networks[parts[0]];
      found.standing.bridge = parts[0];
      found.standing.zone = static_cast<std::uint16_t>(*zone);
      byNumber_[kEndOfNumbers + *zone] = &found;
      return put(&found, "zones", element);
    });
    findFlows();
    findPorts();
    findAddresses();
    findPermits();
    return std::move(all_);
  }

 private:
  using Parts = std::vector<std::string>;

  /// What `take` doesn't want is a stray.
  template <class Take>
  void each(const char* set, Take take) {
    const auto found = elements_.find(set);
    if (found == elements_.end()) return;
    for (const std::string& element : found->second) {
      if (!take(element, partsOf(element))) all_.strays[set].insert(element);
    }
  }

  static bool put(Found* found, const char* set, const std::string& element) {
    if (found == nullptr) return false;
    found->elements[set].insert(element);
    return true;
  }

  Found* ofBridge(const std::string& bridge) {
    const auto found = all_.networks.find(bridge);
    return found == all_.networks.end() ? nullptr : &found->second;
  }
  Found* ofNumber(const std::string& text) {
    const auto number = readNumber(text);
    const auto found = number ? byNumber_.find(*number) : byNumber_.end();
    return found == byNumber_.end() ? nullptr : found->second;
  }
  Found* ofPort(const std::string& port) {
    const auto found = byPort_.find(port);
    return found == byPort_.end() ? nullptr : found->second;
  }
  void saw(std::optional<Number> number) {
    if (number && *number < kEndOfNumbers) all_.last = std::max(all_.last, *number);
  }

  void findFlows() {
    const auto byBridge = [&](const char* set) {
      each(set, [&](const std::string& element, const Parts& parts) {
        return put(ofBridge(parts[0]), set, element);
      });
    };
    byBridge("bridges");
    byBridge("current");
    each("generations", [&](const std::string& element, const Parts& parts) {
      Found* const found = ofBridge(parts[0]);
      const auto generation = parts.size() == 2 ? readNumber(parts[1]) : std::nullopt;
      if (found == nullptr || !generation) return false;
      put(found, "generations", element);
      const auto isThere = [&](const auto& set) {
        return found->elements[set.first] == set.second;
      };
      const nft::Elements wanted = generationElements(parts[0], *generation);
      if (std::ranges::all_of(wanted, isThere)) found->standing.generation = generation;
      return true;
    });
  }

  void findPorts() {
    each("networks", [&](const std::string& element, const Parts& parts) {
      Found* const found = parts.size() == 2 ? ofNumber(parts[1]) : nullptr;
      if (found == nullptr) return false;
      byPort_[parts[0]] = found;
      found->ports.insert(parts[0]);
      return put(found, "networks", element);
    });
    for (const char* const set : {"isolated", "egress_ports", "ingress_ports", "gateways",
                                  "gateways4", "gateways6", "tracked", "numbers"}) {
      each(set, [&](const std::string& element, const Parts& parts) {
        return put(ofPort(parts[0]), set, element);
      });
    }
    for (const char* const map : {"egress", "ingress"}) {
      each(map, [&](const std::string& element, const Parts& parts) {
        Found* const found = ofPort(parts[0]);
        const auto subject = parts.size() == 2 ? readClassid(parts[1]) : std::nullopt;
        if (found == nullptr || !subject) return false;
        saw(subject);
        bySubject_[*subject] = found;
        return put(found, map, element);
      });
    }
  }

  void findAddresses() {
    for (const char* const map : kAddressMaps) {
      each(map, [&](const std::string& element, const Parts& parts) {
        if (parts.size() != 3) return false;
        saw(readNumber(parts[2]));
        return put(ofNumber(parts[0]), map, element);
      });
    }
  }

  void findPermits() {
    for (const char* const set : {"every", "ports"}) {
      each(set, [&](const std::string& element, const Parts& parts) {
        const auto subject = readClassid(parts[0]);
        saw(subject);
        if (parts.size() > 1) saw(readNumber(parts[1]));
        const auto found = subject ? bySubject_.find(*subject) : bySubject_.end();
        return put(found == bySubject_.end() ? nullptr : found->second, set, element);
      });
    }
  }

  const nft::Elements& elements_;
  FoundAll all_;
  std::map<Number, Found*> byNumber_;
  std::map<std::string, Found*> byPort_;
  std::map<Number, Found*> bySubject_;
};

/// What the elements of a map give to each key.
std::map<std::string, std::string> readMap(const nft::Elements& elements, const std::string& name) {
  std::map<std::string, std::string> map;
  const auto found = elements.find(name);
  if (found == elements.end()) return map;
  for (const std::string& element : found->second) {
    const std::size_t end = element.rfind(" : ");
    if (end != std::string::npos) map.emplace(element.substr(0, end), element.substr(end + 3));
  }
  return map;
}

}  // namespace

FoundAll foundIn(const nft::Elements& elements) {
  return Finder(elements).run();
}

void adopt(const Policed& wanted, const Found& found, Standing& standing) {
  std::set<Number> taken;
  const auto bind = [&](Number number, std::optional<Number> there) {
    if (!there || *there == 0 || *there >= kEndOfNumbers) return;
    if (standing.numbers.contains(number) || !taken.insert(*there).second) return;
    standing.numbers.emplace(number, *there);
  };
  for (const auto& [name, direction] : {std::pair{"egress", &wanted.program.egress},
                                        std::pair{"ingress", &wanted.program.ingress}}) {
    const auto there = readMap(found.elements, name);
    for (const auto& [pod, subject] : *direction) {
      const auto at = there.find(wanted.ports.at(pod));
      if (at != there.end()) bind(subject, readClassid(at->second));
    }
  }
  std::map<std::string, std::map<std::string, std::string>> classes;
  for (const char* const map : kAddressMaps) {
    classes[map] = readMap(found.elements, map);
  }
  wanted.program.addresses.each([&](const policy::AddressRange& range, Number peers) {
    if (standing.numbers.contains(peers)) return;
    const auto [set, text] = addressElement(range, peers, standing);
    const auto at = classes[set].find(text.substr(0, text.rfind(" : ")));
    if (at != classes[set].end()) bind(peers, readNumber(at->second));
  });
}

std::set<std::string> portsApartFrom(const std::set<std::string>& others,
                                     const std::set<std::string>& elements) {
  // Whose they are, and the first and last of them.
  using Ports = std::pair<std::string, std::pair<unsigned, unsigned>>;
  const auto read = [](const std::string& element) -> Ports {
    const std::size_t at = element.rfind(" . ") + 3;
    const char* const end = element.data() + element.size();
    unsigned first = 0;
    const auto begins = std::from_chars(element.data() + at, end, first);
    unsigned last = first;
    if (begins.ptr != end) std::from_chars(begins.ptr + 1, end, last);
    return {element.substr(0, at), {first, last}};
  };
  std::multimap<std::string, std::pair<unsigned, unsigned>> there;
  for (const std::string& other : others) there.insert(read(other));
  std::set<std::string> out;
  for (const std::string& element : elements) {
    const auto [who, ports] = read(element);
    const auto [begin, end] = there.equal_range(who);
    const bool meets = std::any_of(begin, end, [&ports = ports](const auto& other) {
      return other.second.first <= ports.second && ports.first <= other.second.second;
    });
    if (!meets) out.insert(element);
  }
  return out;
}

bool mayTighten(const nft::Elements& gone, const nft::Elements& added, bool isOrdered) {
  const auto any = [](const nft::Elements& elements, const char* set) {
    const auto found = elements.find(set);
    return found != elements.end() && !found->second.empty();
  };
  // What goes may be an address or a permit, or a port, whose addresses may be another's soon.
  for (const char* const set : kAddressMaps) {
    if (any(gone, set)) return true;
  }
  for (const char* const set : {"every", "ports", "egress", "ingress", "gateways4", "gateways6"}) {
    if (any(gone, set)) return true;
  }
  if (any(added, "egress") || any(added, "ingress")) return true;
  return isOrdered &&
         std::ranges::any_of(kAddressMaps, [&](const char* set) { return any(added, set); });
}

}  // namespace multinet::agent::policing
