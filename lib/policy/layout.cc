#include "lib/policy/layout.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "lib/policy/key.h"

namespace multinet::policy {
namespace {

/// Pieces of blocks with so many addresses at most stand as single ones: what comes and goes is a
/// single address then, and no range is replaced by others, between which nothing would hold.
constexpr unsigned kSingles = 256;
/// Of all of them together: what a tenant writes must not grow to what no node holds. Those beyond,
/// in order of addresses, stand as ranges.
constexpr std::size_t kMostSingles = 65'536;

/// Where a range of somebody begins, or the address behind its last.
struct Edge {
  IpAddress at;
  std::size_t who = 0;
  bool begins = false;
};

std::vector<Edge> edgesOf(const Layout::Peers& peers) {
  std::vector<Edge> all;
  std::size_t who = 0;
  for (const auto& [key, named] : peers) {
    for (const auto& range : named->ranges) {
      all.push_back({range.first, who, true});
      if (range.last != lastOf(range.last.family())) all.push_back({next(range.last), who, false});
    }
    ++who;
  }
  std::ranges::sort(all, {}, &Edge::at);
  return all;
}

/// How many addresses it would stand as; 0: it is too large for that.
std::size_t singlesOf(const AddressRange& range) {
  const auto more = range.last.number() - range.first.number();
  return more < kSingles ? static_cast<std::size_t>(more) + 1 : 0;
}

template <class Act>
void eachAddress(const AddressRange& range, Act act) {
  for (auto at = range.first.number();; ++at) {
    act(IpAddress(range.first.family(), at));
    if (at == range.last.number()) return;  // it may be the last of all
  }
}

}  // namespace

/// The blocks alone. Each piece is of the same ones throughout, and as long as that goes on.
std::vector<Layout::Piece> Layout::piecesOf(const Peers& peers) {
  std::vector<Piece> out;
  const std::vector<Edge> all = edgesOf(peers);
  std::map<std::size_t, int> here;  // how many ranges of whom
  for (auto edge = all.begin(); edge != all.end();) {
    // What reaches the end of IPv4 doesn't go on in IPv6.
    if (edge != all.begin() && std::prev(edge)->at.family() != edge->at.family()) here.clear();
    const IpAddress at = edge->at;
    for (; edge != all.end() && edge->at == at; ++edge) {
      const auto counted = here.try_emplace(edge->who, 0).first;
      counted->second += edge->begins ? 1 : -1;
      if (counted->second == 0) here.erase(counted);
    }
    if (here.empty()) continue;
    const bool isLast = edge == all.end() || edge->at.family() != at.family();
    Piece piece{{at, isLast ? lastOf(at.family()) : previous(edge->at)}, {}};
    for (const auto& [who, count] : here) piece.who.push_back(who);
    const bool goesOn = !out.empty() && out.back().who == piece.who &&
                        out.back().range.last.family() == at.family() &&
                        out.back().range.last != lastOf(at.family()) &&
                        next(out.back().range.last) == at;
    if (goesOn) {
      out.back().range.last = piece.range.last;
    } else {
      out.push_back(std::move(piece));
    }
  }
  return out;
}

/// By address, those of one in the order of places.
std::vector<Layout::Member> Layout::membersOf(const Peers& peers) {
  std::vector<Member> out;
  std::size_t who = 0;
  std::size_t many = 0;
  for (const auto& [key, named] : peers) {
    for (const auto& [address, count] : named->members) out.push_back({address, who});
    many += named->members.empty() ? 0 : 1;
    ++who;
  }
  if (many > 1) std::ranges::stable_sort(out, {}, &Member::address);
  return out;
}

AddressChange Layout::set(const Peers& peers, Numbers& numbers, AddressClasses& addresses) {
  std::vector<Peer> now;
  now.reserve(peers.size());
  for (const auto& [key, named] : peers) now.push_back({key, named->version});
  const bool isKnown = std::ranges::none_of(now, [](const Peer& one) { return one.version == 0; });
  if (isKnown && now == peers_) return {};
  peers_ = std::move(now);
  places_.clear();
  isBlock_.clear();
  numbers_.clear();
  whoIs_.clear();
  for (const auto& [key, named] : peers) {
    places_.emplace(key, places_.size());
    isBlock_.push_back(!named->ranges.empty());
  }
  std::vector<std::pair<IpAddress, Number>> singles;
  AddressClasses next;
  const std::vector<Piece> pieces = piecesOf(peers);
  std::vector<IpAddress> small;  // of pieces that stand as single addresses
  for (const Piece& piece : pieces) {
    const std::size_t count = singlesOf(piece.range);
    if (count != 0 && small.size() + count <= kMostSingles) {
      eachAddress(piece.range, [&](const IpAddress& one) { small.push_back(one); });
    } else {
      next.put(piece.range, classOf(piece.who, numbers));
    }
  }
  auto blocksAt = [&, at = pieces.begin()](const IpAddress& address) mutable {
    while (at != pieces.end() && at->range.last < address) ++at;
    return at != pieces.end() && at->range.first <= address ? at->who : Who{};
  };
  const std::vector<Member> members = membersOf(peers);
  auto member = members.begin();
  auto other = small.begin();
  Who last;
  Number number = 0;
  while (member != members.end() || other != small.end()) {
    const bool isOther =
        other != small.end() && (member == members.end() || *other <= member->address);
    const IpAddress at = isOther ? *other : member->address;
    if (isOther) ++other;
    Who who = blocksAt(at);
    const auto blocks = static_cast<std::ptrdiff_t>(who.size());
    for (; member != members.end() && member->address == at; ++member) who.push_back(member->who);
    std::inplace_merge(who.begin(), who.begin() + blocks, who.end());
    if (number == 0 || who != last) number = classOf(last = std::move(who), numbers);
    next.put({at, at}, number);
  }
  forgetUnused(next);
  listClasses();
  AddressChange out = changeOf(addresses, next);
  addresses = std::move(next);
  return out;
}

std::optional<AddressChange> Layout::change(const MemberChange& change, Numbers& numbers,
                                            AddressClasses& addresses) {
  const auto place = places_.find(change.key);
  if (place == places_.end()) return AddressChange{};
  const std::size_t one = place->second;
  if (peers_[one].version != change.before) return std::nullopt;
  peers_[one].version = change.after;
  AddressChange out;
  const auto whoHas = [&](const IpAddress& address) {
    const auto found = whoIs_.find(addresses.of(address));
    return found == whoIs_.end() ? Who{} : found->second;
  };
  for (const IpAddress& address : change.gone) {
    Who who = whoHas(address);
    std::erase(who, one);
    this->change(address, who, numbers, addresses, out);
  }
  for (const IpAddress& address : change.come) {
    Who who = whoHas(address);
    who.insert(std::ranges::lower_bound(who, one), one);
    this->change(address, who, numbers, addresses, out);
  }
  forgetUnused(addresses);
  return out;
}

void Layout::change(const IpAddress& address, const Who& who, Numbers& numbers,
                    AddressClasses& addresses, AddressChange& out) {
  const AddressRange range{address, address};
  const auto before = addresses.singles().find(address);
  if (before != addresses.singles().end()) out.removed.emplace_back(range, before->second);
  // Of blocks alone it stands by itself only where their range doesn't.
  const bool isBare = std::ranges::all_of(who, [&](std::size_t one) { return isBlock_[one]; });
  if (who.empty() || (isBare && addresses.ofRangeAround(address) != kEverybody)) {
    addresses.erase(range);
    return;
  }
  const Number number = classOf(who, numbers);
  addresses.put(range, number);
  out.added.emplace_back(range, number);
}

Number Layout::classOf(const Who& who, Numbers& numbers) {
  const auto known = numbers_.find(who);
  if (known != numbers_.end()) return known->second;
  Key key('c');
  for (const std::size_t one : who) key.add(peers_[one].key);
  const Number number = numbers.of(key.text());
  numbers_.emplace(who, number);
  whoIs_.emplace(number, who);
  return number;
}

/// Nothing is remembered of them: Numbers forgets them too.
void Layout::forgetUnused(const AddressClasses& addresses) {
  const auto& uses = addresses.uses();
  if (uses.size() != whoIs_.size()) {
    std::erase_if(numbers_, [&](const auto& one) { return !uses.contains(one.second); });
    std::erase_if(whoIs_, [&](const auto& one) { return !uses.contains(one.first); });
  }
  // One may have come while another went.
  const auto isOf = [](Number listed, const auto& one) { return listed == one.first; };
  if (!std::ranges::equal(listed_, whoIs_, isOf)) listClasses();
}

void Layout::listClasses() {
  ++shape_;
  listed_.clear();
  classesOf_.assign(peers_.size(), {});
  for (const auto& [number, who] : whoIs_) {
    listed_.push_back(number);
    for (const std::size_t one : who) classesOf_[one].push_back(number);
  }
}

}  // namespace multinet::policy
