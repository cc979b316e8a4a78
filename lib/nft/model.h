// A table of nftables as a value: what shall be there, and the commands that lead to it. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace multinet::nft {

/// A set of plain or concatenated elements, each as nft writes it with numbers: `10.0.0.1 . 4799`.
/// With a `value` it is a map, its elements `6 . 80 : 10.0.0.1`.
struct Set {
  std::string name;
  /// `inet_service`, `ipv4_addr . inet_service`, `ifname`, ...; `typeof iifname . @th,64,128`.
  std::string type;
  std::set<std::string> elements;
  std::string value{};  ///< type of what a map gives; empty: it is no map
  /// Elements may have prefixes in them, and ranges (`80-90`), which don't overlap; a range that is
  /// a prefix is written as one, since nft lists it so.
  bool intervals = false;
  /// Of a set that rules fill: `size 4096; flags dynamic,timeout; timeout 60s;`. Its elements are
  /// the kernel's, and none are ours. The kernel makes room for all of them at once: 32 bytes each
  /// (nft_rhash_init). Empty: ours.
  std::string filledBy{};
  bool operator==(const Set&) const = default;
};

/// A base chain; without a hook one that others jump to. Each rule is found again by its comment,
/// which holds a hash of its text: listing never has to be compared with what was written.
/// Rules name protocols by number (`meta l4proto 58`): nft looks names up in /etc/protocols, which
/// an image needn't have.
struct Chain {
  std::string name;
  std::string hook;  ///< `input`, `forward`, ...
  int priority = 0;
  std::vector<std::string> rules;
  std::string type = "filter";  ///< or `nat`
  /// Of family netdev: whose frames it sees. A kernel before 6.16 refuses one that isn't there.
  std::string device{};
  bool operator==(const Chain&) const = default;
};

struct Table {
  std::string name;
  std::vector<Set> sets;
  std::vector<Chain> chains;
  std::string family = "inet";
  std::vector<std::string> counters{};  ///< named ones, for rules to count by
  bool operator==(const Table&) const = default;
};

/// Tables whose elements go and come together. Sets of one name are given the same elements.
using Tables = std::vector<const Table*>;

/// The comment by which `rule` is known again.
[[nodiscard]] std::string commentOf(const std::string& rule);

/// Puts the whole table in place of whatever has its name, in one transaction.
[[nodiscard]] std::string renderReplace(const Table& table);
[[nodiscard]] std::string renderDelete(const std::string& table,
                                       const std::string& family = "inet");
/// The elements that differ, as one transaction; empty where none do. Both tables have the same
/// sets and chains.
[[nodiscard]] std::string renderDelta(const Table& from, const Table& to);
/// Elements by the set's name.
using Elements = std::map<std::string, std::set<std::string>>;
void insert(const Elements& elements, Elements& into);
void erase(const Elements& elements, Elements& from);
/// What `from` has and `without` hasn't; of no set that this leaves empty.
[[nodiscard]] Elements less(const Elements& from, const Elements& without);
/// Whether there is no element, whatever sets are named.
[[nodiscard]] bool isNone(const Elements& elements);
/// Makes `table` what it is after such a change. Sets that it hasn't are passed over.
void apply(const Elements& gone, const Elements& added, Table& table);
/// Those elements of `table`'s sets less and more, as one transaction; empty where there are none.
[[nodiscard]] std::string renderChange(const Table& table, const Elements& gone,
                                       const Elements& added);
/// True where two tables differ in elements only.
[[nodiscard]] bool sameShape(const Table& a, const Table& b);
/// Whether rules fill any of its sets: what they know goes with the table.
[[nodiscard]] bool remembers(const Table& table);
/// Puts rules and elements in place of those of a table that has the sets and chains of `table`, in
/// one transaction; what rules filled stays. Refused by the kernel where a set is another.
[[nodiscard]] std::string renderRefill(const Table& table, const Elements& gone,
                                       const Elements& added);

}  // namespace multinet::nft
