// A table of nftables as a value: what shall be there, and the commands that lead to it. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace multinet::nft {

/// A set of plain or concatenated elements, each as nft writes it with numbers: `10.0.0.1 . 4799`.
/// With a `value` it is a map, its elements `6 . 80 : 10.0.0.1`.
struct Set {
  std::string name;
  std::string type;  ///< `inet_service`, `ipv4_addr . inet_service`, `ifname`, ...
  std::set<std::string> elements;
  std::string value{};     ///< type of what a map gives; empty: it is no map
  bool intervals = false;  ///< elements may have prefixes in them, which don't overlap
  bool operator==(const Set&) const = default;
};

/// A base chain. Each rule is found again by its comment, which holds a hash of its
/// text: listing never has to be compared with what was written.
struct Chain {
  std::string name;
  std::string hook;  ///< `input`, `forward`, ...
  int priority = 0;
  std::vector<std::string> rules;
  std::string type = "filter";  ///< or `nat`
  bool operator==(const Chain&) const = default;
};

/// Of family inet.
struct Table {
  std::string name;
  std::vector<Set> sets;
  std::vector<Chain> chains;
  bool operator==(const Table&) const = default;
};

/// The comment by which `rule` is known again.
[[nodiscard]] std::string commentOf(const std::string& rule);

/// Puts the whole table in place of whatever has its name, in one transaction.
[[nodiscard]] std::string renderReplace(const Table& table);
[[nodiscard]] std::string renderDelete(const std::string& table);
/// The elements that differ, as one transaction; empty where none do. Both tables have the same
/// sets and chains.
[[nodiscard]] std::string renderDelta(const Table& from, const Table& to);
/// True where two tables differ in elements only.
[[nodiscard]] bool sameShape(const Table& a, const Table& b);

}  // namespace multinet::nft
