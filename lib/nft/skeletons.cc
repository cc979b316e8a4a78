#include "lib/nft/skeletons.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "lib/nft/batch.h"
#include "lib/nft/committer.h"
#include "lib/nft/dump.h"

namespace multinet::nft {
namespace {

using netlink::Attributes;
using netlink::Bytes;
using netlink::Message;
using Types = std::initializer_list<std::uint16_t>;

/// A table for each set of devices; there are few.
constexpr std::size_t kMostTables = 64;

bool isOne(std::uint16_t type, Types types) {
  return std::ranges::find(types, type) != types.end();
}

/// What the kernel tells of an object and what of that makes another like it; all else isn't known.
struct Kind {
  unsigned get;
  unsigned create;
  unsigned flags;
  Types kept;
  Types told;  ///< that is the kernel's own to give
};

constexpr unsigned kCreate = NLM_F_CREATE;
constexpr Kind kSet{
    NFT_MSG_GETSET,
    NFT_MSG_NEWSET,
    kCreate,
    {NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN,
     NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, NFTA_SET_POLICY, NFTA_SET_DESC, NFTA_SET_TIMEOUT,
     NFTA_SET_GC_INTERVAL, NFTA_SET_USERDATA, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS},
    // The last two are of 6.16: of what kind it is, and how many elements it has.
    {NFTA_SET_HANDLE, NFTA_SET_PAD, NFTA_SET_EXPRESSIONS + 1, NFTA_SET_EXPRESSIONS + 2}};
constexpr Kind kElement{NFT_MSG_GETSETELEM,
                        NFT_MSG_NEWSETELEM,
                        kCreate,
                        {NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_KEY_END, NFTA_SET_ELEM_DATA,
                         NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_USERDATA},
                        {NFTA_SET_ELEM_PAD}};
constexpr Kind kObject{
    NFT_MSG_GETOBJ,
    NFT_MSG_NEWOBJ,
    kCreate,
    {NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE, NFTA_OBJ_DATA, NFTA_OBJ_USERDATA},
    {NFTA_OBJ_USE, NFTA_OBJ_HANDLE, NFTA_OBJ_PAD}};
constexpr Kind kChain{NFT_MSG_GETCHAIN,
                      NFT_MSG_NEWCHAIN,
                      kCreate,
                      {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY,
                       NFTA_CHAIN_TYPE, NFTA_CHAIN_FLAGS},
                      {NFTA_CHAIN_HANDLE, NFTA_CHAIN_USE, NFTA_CHAIN_PAD}};
constexpr Kind kRule{NFT_MSG_GETRULE,
                     NFT_MSG_NEWRULE,
                     kCreate | NLM_F_APPEND,
                     {NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA},
                     {NFTA_RULE_HANDLE, NFTA_RULE_POSITION, NFTA_RULE_PAD}};

/// With `otherwise` for what is nested in one attribute; false where there is something that isn't
/// known.
template <class Otherwise>
bool copyBut(const Attributes& from, const Kind& kind, std::uint16_t one, Otherwise otherwise,
             Message& into) {
  for (const auto& [type, value] : from.all()) {
    if (type == one) {
      if (!otherwise(from.nested(type))) return false;
    } else if (isOne(type, kind.kept)) {
      into.put(type, value);
    } else if (!isOne(type, kind.told)) {
      return false;
    }
  }
  return true;
}

bool copy(const Attributes& from, const Kind& kind, Message& into) {
  constexpr std::uint16_t kNone = 0;
  return copyBut(from, kind, kNone, [](const Attributes&) { return false; }, into);
}

/// The kernel tells that elements which a rule puts in stay for no certain time, and refuses to be
/// told so (nft_dynset_init: EOPNOTSUPP where a set has no timeouts).
void copyDynset(const Attributes& from, Message& into) {
  for (const auto& [type, value] : from.all()) {
    const bool isNone = std::ranges::all_of(value, [](std::uint8_t byte) { return byte == 0; });
    if (type != NFTA_DYNSET_PAD && !(type == NFTA_DYNSET_TIMEOUT && isNone)) into.put(type, value);
  }
}

void copyExpressions(const Attributes& from, Message& into) {
  for (const auto& [type, value] : from.all()) {
    const auto expression = Attributes::parse(value);
    if (!expression || expression->text(NFTA_EXPR_NAME) != "dynset") {
      into.put(type, value);
      continue;
    }
    into.nest(type, [&](Message& one) {
      one.put(NFTA_EXPR_NAME, std::string_view("dynset"));
      one.nest(NFTA_EXPR_DATA,
               [&](Message& data) { copyDynset(expression->nested(NFTA_EXPR_DATA), data); });
    });
  }
}

bool copyRule(const Attributes& from, Message& into) {
  const auto expressions = [&](const Attributes& nested) {
    into.nest(NFTA_RULE_EXPRESSIONS, [&](Message& list) { copyExpressions(nested, list); });
    return true;
  };
  return copyBut(from, kRule, NFTA_RULE_EXPRESSIONS, expressions, into);
}

/// A chain on another device than the one whose rules were read.
bool copyChain(const Attributes& from, const Table& table, Message& into) {
  const auto name = from.text(NFTA_CHAIN_NAME);
  const auto chain =
      std::ranges::find_if(table.chains, [&](const Chain& one) { return one.name == name; });
  if (chain == table.chains.end()) return false;
  if (chain->device.empty()) return copy(from, kChain, into);
  const auto hook = [&](const Attributes& nested) {
    const auto number = nested.find(NFTA_HOOK_HOOKNUM);
    const auto priority = nested.find(NFTA_HOOK_PRIORITY);
    if (!number || !priority) return false;
    into.nest(NFTA_CHAIN_HOOK, [&](Message& nest) {
      nest.put(NFTA_HOOK_HOOKNUM, *number);
      nest.put(NFTA_HOOK_PRIORITY, *priority);
      nest.put(NFTA_HOOK_DEV, chain->device);
    });
    return true;
  };
  return copyBut(from, kChain, NFTA_CHAIN_HOOK, hook, into);
}

/// Elements of sets that rules have within them, which have no name of their own.
bool copyElements(const Attributes& from, Message& into) {
  const auto table = from.find(NFTA_SET_ELEM_LIST_TABLE);
  const auto set = from.find(NFTA_SET_ELEM_LIST_SET);
  if (!table || !set) return false;
  into.put(NFTA_SET_ELEM_LIST_TABLE, *table);
  into.put(NFTA_SET_ELEM_LIST_SET, *set);
  bool isKnown = true;
  const Attributes elements = from.nested(NFTA_SET_ELEM_LIST_ELEMENTS);
  into.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](Message& list) {
    for (const auto& [type, value] : elements.all()) {
      const auto element = Attributes::parse(value);
      isKnown = isKnown && element && type == NFTA_LIST_ELEM;
      if (!isKnown) return;
      list.nest(NFTA_LIST_ELEM, [&](Message& one) { isKnown = copy(*element, kElement, one); });
    }
  });
  return isKnown;
}

/// Reads a table of the kernel's into messages.
class Reader {
 public:
  Reader(const Table& table, BatchSocket& socket)
      : table_(table), socket_(socket), family_(familyOf(table.family)) {}

  /// nullopt where something isn't known.
  Result<std::optional<std::vector<std::uint8_t>>> read() {
    putTable();
    std::vector<std::string> unnamed;
    // Chains before elements that name them, sets before rules, and elements before a rule has
    // their set for itself.
    each(kChain, {},
         [&](const Attributes& from, Message& into) { return copyChain(from, table_, into); });
    each(kObject, {},
         [](const Attributes& from, Message& into) { return copy(from, kObject, into); });
    std::uint32_t id = 0;
    each(kSet, {}, [&](const Attributes& from, Message& into) {
      const auto name = from.text(NFTA_SET_NAME);
      const bool isNamed = std::ranges::any_of(
          table_.sets, [&](const Set& set) { return name && set.name == *name; });
      if (name && !isNamed) unnamed.push_back(*name);
      into.putU32(NFTA_SET_ID, __builtin_bswap32(++id));
      return copy(from, kSet, into);
    });
    for (const std::string& set : unnamed) each(kElement, set, copyElements);
    each(kRule, {}, copyRule);
    MULTINET_CHECK(dumped_);
    if (!isKnown_) return std::nullopt;
    return std::move(bytes_);
  }

 private:
  void put(const Message& message) {
    isKnown_ = isKnown_ && message.valid();
    const auto bytes = message.encode(0);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// Added first, it can be deleted whether it was there or not.
  void putTable() {
    for (const unsigned type : {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWTABLE}) {
      Message message = nftMessage(type, type == NFT_MSG_NEWTABLE ? kCreate : 0, family_);
      message.put(NFTA_TABLE_NAME, table_.name);
      put(message);
    }
  }
  template <class Copy>
  void each(const Kind& kind, const std::string& set, Copy copyOne) {
    if (!dumped_) return;
    dumped_ = socket_.dump(dumpRequest(kind.get, table_, set), [&](const netlink::Frame& frame) {
      const auto from = Attributes::parse(frame.payload, sizeof(nfgenmsg));
      Message message = nftMessage(kind.create, kind.flags, family_);
      isKnown_ = isKnown_ && from && copyOne(*from, message);
      if (isKnown_) put(message);
      return true;
    });
  }

  const Table& table_;
  BatchSocket& socket_;
  const std::uint8_t family_;
  std::vector<std::uint8_t> bytes_;
  bool isKnown_ = true;
  Status dumped_;
};

}  // namespace

Result<std::vector<std::uint8_t>> readSkeleton(const Table& table) {
  Table there = table;
  // No other device is in a new namespace.
  for (Chain& chain : there.chains) {
    if (!chain.device.empty()) chain.device = "lo";
  }
  MULTINET_TRY(const Fd netns, netns::make());
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto committer, Committer::open());
  MULTINET_CHECK(committer.commit(renderReplace(there)));
  MULTINET_TRY(auto socket, BatchSocket::open());
  MULTINET_TRY(auto messages, Reader(table, socket).read());
  if (messages) return *std::move(messages);
  return fail(Code::Internal, "Unknown",
              "read table " + table.name + ": the kernel tells something of it that isn't known");
}

const std::vector<std::uint8_t>* Skeletons::of(const Table& table) {
  const std::lock_guard lock(mutex_);
  auto known =
      std::ranges::find_if(known_, [&](const Known& one) { return sameShape(one.table, table); });
  if (known == known_.end()) {
    if (known_.size() >= kMostTables) return nullptr;
    Table empty = table;
    for (Set& set : empty.sets) set.elements.clear();
    auto messages = read_(empty);
    if (!messages && messages.error().code != Code::Internal) {
      log::debug("can't read a table of nftables now", {{"error", messages.error()}});
      return nullptr;
    }
    if (!messages) {
      log::info("tables of nftables are committed by libnftables alone, which takes longer",
                {{"table", table.name}, {"error", messages.error()}});
      messages.emplace();
    }
    known = known_.insert(known_.end(), {std::move(empty), std::move(*messages)});
  }
  return known->messages.empty() ? nullptr : &known->messages;
}

std::size_t Skeletons::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

}  // namespace multinet::nft
