#include "lib/policy/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using ::testing::ElementsAre;
using testing::ip;

Named block(const std::string& key, const std::string& cidr,
            const std::vector<std::string>& except = {}) {
  return {key, rangesOf({cidr, except}), {}, 1};
}

std::vector<std::string> rangesIn(const AddressClasses& addresses) {
  std::vector<std::string> out;
  for (const auto& [range, number] : addresses.ranges()) out.push_back(textOf(range));
  return out;
}

TEST(Layout, BlocksAreRangesAndSmallOnesSingleAddresses) {
  const Named wide = block("a", "0.0.0.0/0", {"10.0.0.0/29"});
  const Named small = block("b", "fd00::/124", {"fd00::4/126"});
  const Named one = block("c", "fd00::5/128");
  Layout layout;
  Numbers numbers;
  AddressClasses addresses;
  static_cast<void>(layout.set({{"a", &wide}, {"b", &small}, {"c", &one}}, numbers, addresses));
  EXPECT_THAT(rangesIn(addresses),
              ElementsAre("0.0.0.0-9.255.255.255", "10.0.0.8-255.255.255.255"));
  EXPECT_EQ(addresses.singles().size(), 13U);
  EXPECT_EQ(addresses.of(ip("fd00::4")), kEverybody);
  EXPECT_EQ(addresses.of(ip("fd00::3")), addresses.of(ip("fd00::8")));
  EXPECT_EQ(layout.classesOf("c"), std::vector{addresses.of(ip("fd00::5"))});
}

TEST(Layout, BlocksBeyondABoundStayRangesHoweverSmall) {
  Named many{.key = "a", .version = 1};
  for (int i = 0; i < 300; ++i) {
    const std::string cidr =
        "10." + std::to_string(i / 100) + "." + std::to_string(2 * (i % 100)) + ".0/24";
    const auto range = rangesOf({cidr, {}});
    many.ranges.insert(many.ranges.end(), range.begin(), range.end());
  }
  Layout layout;
  Numbers numbers;
  AddressClasses addresses;
  static_cast<void>(layout.set({{"a", &many}}, numbers, addresses));
  EXPECT_EQ(addresses.singles().size(), 65'536U);
  EXPECT_EQ(addresses.ranges().size(), 44U);
  EXPECT_EQ(addresses.of(ip("10.2.198.7")), addresses.of(ip("10.0.0.7")));
  EXPECT_EQ(addresses.of(ip("10.2.199.7")), kEverybody);
}

TEST(Layout, AMemberInABlockLeavesItsRangeWhole) {
  const Named wide = block("a", "10.0.0.0/8");
  Named pods{.key = "b", .version = 1};
  Layout layout;
  Numbers numbers;
  AddressClasses addresses;
  static_cast<void>(layout.set({{"a", &wide}, {"b", &pods}}, numbers, addresses));
  const AddressClasses before = addresses;
  const auto come = layout.change({"b", 1, 2, {}, {ip("10.1.2.3")}}, numbers, addresses);
  ASSERT_TRUE(come);
  EXPECT_TRUE(come->removed.empty());
  EXPECT_EQ(come->added.size(), 1U);
  const auto stale = layout.change({"b", 1, 2, {}, {ip("10.1.2.4")}}, numbers, addresses);
  EXPECT_FALSE(stale) << "it has seen that change";
  const auto gone = layout.change({"b", 2, 3, {ip("10.1.2.3")}, {}}, numbers, addresses);
  ASSERT_TRUE(gone);
  EXPECT_EQ(*gone, reversed(*come));
  EXPECT_EQ(addresses, before);
}

TEST(Layout, OfWhomNobodySpeaksNothingChanges) {
  Layout layout;
  Numbers numbers;
  AddressClasses addresses;
  const auto change = layout.change({"b", 1, 2, {}, {ip("10.1.2.3")}}, numbers, addresses);
  ASSERT_TRUE(change);
  EXPECT_TRUE(change->empty());
}

/// Peers whose members come and go.
class Drawn {
 public:
  explicit Drawn(std::uint32_t seed) : draw_(seed) {
    const std::size_t count = 1 + draw_.below(5);
    for (std::size_t i = 0; i < count; ++i) add();
  }

  void add() {
    static const std::vector<std::pair<std::string, std::vector<std::string>>> kBlocks = {
        {"0.0.0.0/0", {}},   {"0.0.0.0/0", {"10.0.0.0/29"}}, {"10.0.0.0/28", {"10.0.0.4/30"}},
        {"10.0.0.3/32", {}}, {"::/0", {"fd00::/125"}},       {"fd00::/124", {"fd00::4/126"}},
        {"fd00::5/128", {}}, {"10.0.0.0/8", {"10.0.0.2/31"}}};
    const std::string key = "peer " + std::to_string(draw_.below(100));
    if (draw_.oneIn(2)) {
      const auto& [cidr, except] = draw_.of(kBlocks);
      all_.insert_or_assign(key, std::make_unique<Named>(block("b" + cidr + key, cidr, except)));
    } else {
      all_.insert_or_assign(key, std::make_unique<Named>(Named{.key = key, .version = ++version_}));
    }
  }
  void drop() {
    if (!all_.empty()) all_.erase(all_.begin());
  }
  /// Nothing where it draws a block.
  std::optional<MemberChange> change() {
    if (all_.empty()) return std::nullopt;
    auto at = all_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(draw_.below(all_.size())));
    Named& named = *at->second;
    if (!named.ranges.empty()) return std::nullopt;
    MemberChange out{named.key, named.version, ++version_};
    named.version = version_;
    for (std::size_t i = draw_.below(4); i > 0; --i) {
      const IpAddress address = draw_.address();
      const auto isDrawn = [&](const auto& those) {
        return std::ranges::find(those, address) != those.end();
      };
      if (isDrawn(out.gone) || isDrawn(out.come)) continue;
      if (named.members.erase(address) > 0) {
        out.gone.push_back(address);
      } else {
        named.members[address] = 1;
        out.come.push_back(address);
      }
    }
    return out;
  }
  [[nodiscard]] Layout::Peers peers() const {
    Layout::Peers out;
    for (const auto& [key, named] : all_) out.emplace(named->key, named.get());
    return out;
  }
  testing::Draw& draw() { return draw_; }

 private:
  testing::Draw draw_;
  std::uint64_t version_ = 1;
  std::map<std::string, std::unique_ptr<Named>> all_;
};

TEST(Layout, FromOneMomentToTheNextItIsAsLaidOutAnew) {
  int changed = 0;
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    Drawn drawn(seed);
    Layout layout;
    Numbers numbers;
    AddressClasses addresses;
    AddressClasses kernel;
    policy::apply(layout.set(drawn.peers(), numbers, addresses), kernel);
    for (int step = 0; step < 30; ++step) {
      if (drawn.draw().oneIn(8)) drawn.add();
      if (drawn.draw().oneIn(8)) drawn.drop();
      policy::apply(layout.set(drawn.peers(), numbers, addresses), kernel);
      const auto change = drawn.change();
      if (!change) continue;
      const auto way = layout.change(*change, numbers, addresses);
      ASSERT_TRUE(way);
      changed += way->empty() ? 0 : 1;
      policy::apply(*way, kernel);
      Layout anew;
      AddressClasses wanted;
      static_cast<void>(anew.set(drawn.peers(), numbers, wanted));
      ASSERT_EQ(addresses, wanted) << "seed " << seed << " step " << step;
      ASSERT_EQ(kernel, wanted) << "seed " << seed << " step " << step;
      for (const auto& [key, named] : drawn.peers()) {
        ASSERT_THAT(layout.classesOf(key),
                    ::testing::UnorderedElementsAreArray(anew.classesOf(key)));
        // By what is asked of it, too.
        for (int i = 0; i < 4; ++i) {
          const IpAddress address = drawn.draw().address();
          const auto& classes = layout.classesOf(key);
          const bool isOne = std::ranges::find(classes, addresses.of(address)) != classes.end();
          ASSERT_EQ(isOne, named->members.contains(address) || contains(named->ranges, address))
              << address.str() << " of " << key;
        }
      }
    }
  }
  EXPECT_GT(changed, 1000);
}

}  // namespace
}  // namespace multinet::policy
