#include "lib/nft/comparison.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/nft/dump.h"
#include "lib/nft/elements.h"

namespace multinet::nft {
namespace {

using netlink::Attributes;
using netlink::Bytes;
using Key = ElementBytes::Bytes;

/// The kernel tells of all chains of a family; with more of them a pod's table is as good as lost.
constexpr std::size_t kMostChains = 100'000;

/// An element's parts in a row, which have one length each in a set.
Key joined(Bytes key, Bytes keyEnd, Bytes value) {
  Key all(key.begin(), key.end());
  all.insert(all.end(), keyEnd.begin(), keyEnd.end());
  all.insert(all.end(), value.begin(), value.end());
  return all;
}

/// Sorted; nullopt where one isn't known.
std::optional<std::vector<Key>> keysOf(const Set& set) {
  std::vector<Key> keys;
  const ElementFormat format(set);
  for (const std::string& element : set.elements) {
    const auto bytes = format.bytesOf(element);
    if (!bytes) return std::nullopt;
    keys.push_back(joined(bytes->key, bytes->keyEnd, bytes->value));
  }
  std::ranges::sort(keys);
  return keys;
}

Key keyOf(const Attributes& element) {
  const auto data = [&](std::uint16_t attribute) {
    return element.nested(attribute).find(NFTA_DATA_VALUE).value_or(Bytes{});
  };
  return joined(data(NFTA_SET_ELEM_KEY), data(NFTA_SET_ELEM_KEY_END), data(NFTA_SET_ELEM_DATA));
}

/// What libnftables puts beside a rule: type, length, value; 0 is the comment (libnftnl, udata.h).
std::string commentIn(const Attributes& rule) {
  const Bytes all = rule.find(NFTA_RULE_USERDATA).value_or(Bytes{});
  for (std::size_t at = 0; at + 2 <= all.size() && at + 2 + all[at + 1] <= all.size();
       at += 2U + all[at + 1]) {
    if (all[at] != 0) continue;
    const Bytes text = all.subspan(at + 2, all[at + 1]);
    return {text.begin(), std::ranges::find(text, std::uint8_t{0})};
  }
  return "";
}

class Comparison {
 public:
  using Keys = std::map<std::string, std::vector<Key>>;  ///< of sets that aren't filled by rules
  Comparison(BatchSocket socket, const Table& table, Keys keys)
      : socket_(std::move(socket)), table_(table), keys_(std::move(keys)) {}

  Result<bool> run() {
    MULTINET_CHECK(chains());
    MULTINET_CHECK(rules());
    MULTINET_CHECK(counters());
    MULTINET_CHECK(sets());
    for (const auto& [set, keys] : keys_) MULTINET_CHECK(elements(set, keys));
    return isSame_;
  }

 private:
  /// `take` says whether it is as it should be; after the first that isn't nothing is read.
  template <class Take>
  Status each(unsigned get, const std::string& set, Take take) {
    if (!isSame_) return {};
    const bool isCounters = get == NFT_MSG_GETOBJ;
    const auto request = isCounters ? counterRequest(table_) : dumpRequest(get, table_, set);
    return socket_.dump(request, [&](const netlink::Frame& frame) {
      const auto attributes = Attributes::parse(frame.payload, sizeof(nfgenmsg));
      isSame_ = attributes && take(*attributes);
      return isSame_;
    });
  }
  /// Objects that have one of these names, each of them.
  template <class Names>
  Status named(unsigned get, std::uint16_t name, const Names& names) {
    std::size_t there = 0;
    std::size_t all = 0;
    MULTINET_CHECK(each(get, "", [&](const Attributes& one) {
      if (one.text(NFTA_SET_TABLE) != table_.name) return ++all < kMostChains;
      if (isAnonymous(get, one)) return true;
      ++there;
      return names.contains(one.text(name).value_or(""));
    }));
    isSame_ = isSame_ && there == names.size();
    return {};
  }
  /// A set within a rule.
  static bool isAnonymous(unsigned get, const Attributes& one) {
    const auto flags = get == NFT_MSG_GETSET ? one.u32(NFTA_SET_FLAGS) : std::nullopt;
    return flags && (__builtin_bswap32(*flags) & NFT_SET_ANONYMOUS) != 0;
  }

  template <class Parts>
  static std::set<std::string> namesOf(const Parts& parts) {
    std::set<std::string> names;
    for (const auto& part : parts) names.insert(part.name);
    return names;
  }
  Status chains() { return named(NFT_MSG_GETCHAIN, NFTA_CHAIN_NAME, namesOf(table_.chains)); }
  Status sets() { return named(NFT_MSG_GETSET, NFTA_SET_NAME, namesOf(table_.sets)); }
  Status counters() {
    return named(NFT_MSG_GETOBJ, NFTA_OBJ_NAME,
                 std::set<std::string>(table_.counters.begin(), table_.counters.end()));
  }

  Status rules() {
    std::map<std::string, std::vector<std::string>> wanted;
    for (const Chain& chain : table_.chains) {
      for (const std::string& rule : chain.rules) wanted[chain.name].push_back(commentOf(rule));
    }
    std::map<std::string, std::size_t> there;
    MULTINET_CHECK(each(NFT_MSG_GETRULE, "", [&](const Attributes& rule) {
      const std::string chain = rule.text(NFTA_RULE_CHAIN).value_or("");
      const auto found = wanted.find(chain);
      const std::size_t at = there[chain]++;
      return found != wanted.end() && at < found->second.size() &&
             found->second[at] == commentIn(rule);
    }));
    for (const auto& [chain, comments] : wanted) {
      isSame_ = isSame_ && there[chain] == comments.size();
    }
    return {};
  }

  Status elements(const std::string& set, const std::vector<Key>& keys) {
    std::size_t there = 0;
    MULTINET_CHECK(each(NFT_MSG_GETSETELEM, set, [&](const Attributes& list) {
      const Attributes elements = list.nested(NFTA_SET_ELEM_LIST_ELEMENTS);
      there += elements.all().size();
      return std::ranges::all_of(elements.all(), [&](const auto& one) {
        const auto element = Attributes::parse(one.second);
        return element && std::ranges::binary_search(keys, keyOf(*element));
      });
    }));
    isSame_ = isSame_ && there == keys.size();
    return {};
  }

  BatchSocket socket_;
  const Table& table_;
  const Keys keys_;
  bool isSame_ = true;
};

}  // namespace

Result<std::optional<bool>> compare(BatchSocket socket, const Table& table) {
  Comparison::Keys keys;
  for (const Set& set : table.sets) {
    if (!set.filledBy.empty()) continue;
    auto ofSet = keysOf(set);
    if (!ofSet) return std::optional<bool>{};
    keys.emplace(set.name, std::move(*ofSet));
  }
  MULTINET_TRY(const bool isSame, Comparison(std::move(socket), table, std::move(keys)).run());
  return std::optional<bool>(isSame);
}

}  // namespace multinet::nft
