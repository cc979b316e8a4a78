// Peers laid over each other: which addresses are of the same ones, and so share a class. Kept from
// one moment to the next, so that a member that comes or goes costs one address. Of this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/policy/address_classes.h"
#include "lib/policy/numbers.h"
#include "lib/policy/source.h"

namespace multinet::policy {

class Layout {
 public:
  /// Those whom rules name, by key.
  using Peers = std::map<std::string, const Named*>;

  /// Lays the peers out, unless these very ones are. What that changes of `addresses`, which
  /// nobody else changes.
  AddressChange set(const Peers& peers, Numbers& numbers, AddressClasses& addresses);
  /// Members of one of them come and go. Nothing changes where it is none of them; nullopt where
  /// this isn't what it had, and set() is to be asked.
  [[nodiscard]] std::optional<AddressChange> change(const MemberChange& change, Numbers& numbers,
                                                    AddressClasses& addresses);
  /// Of a peer of the last set().
  [[nodiscard]] const std::vector<Number>& classesOf(const std::string& key) const {
    return classesOf_[places_.at(key)];
  }
  /// Grows with each change of what classesOf() says.
  [[nodiscard]] std::uint64_t shape() const { return shape_; }

 private:
  /// Places of peers, in order.
  using Who = std::vector<std::size_t>;
  struct Peer {
    std::string key;
    std::uint64_t version = 0;
    bool operator==(const Peer&) const = default;
  };
  struct Piece {
    AddressRange range;
    Who who;
  };
  struct Member {
    IpAddress address;
    std::size_t who = 0;
  };

  [[nodiscard]] static std::vector<Piece> piecesOf(const Peers& peers);
  [[nodiscard]] static std::vector<Member> membersOf(const Peers& peers);
  Number classOf(const Who& who, Numbers& numbers);
  void change(const IpAddress& address, const Who& who, Numbers& numbers, AddressClasses& addresses,
              AddressChange& out);
  void forgetUnused(const AddressClasses& addresses);
  void listClasses();

  std::vector<Peer> peers_;
  std::map<std::string, std::size_t> places_;  ///< by key, in peers_
  std::vector<bool> isBlock_;                  ///< of each
  std::map<Who, Number> numbers_;              ///< of classes that have any address
  std::map<Number, Who> whoIs_;
  std::vector<Number> listed_;  ///< classes, as in classesOf_
  std::vector<std::vector<Number>> classesOf_;
  std::uint64_t shape_ = 0;
};

}  // namespace multinet::policy
