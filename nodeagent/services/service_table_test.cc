#include "nodeagent/services/service_table.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "nodeagent/services/fake_table.h"

namespace multinet::agent::services {
namespace {

using bpf::bytesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

constexpr NetworkKey kBlue = 7;

Target target(unsigned number) {
  return {IpAddress(IpFamily::V4, 0x0a420000U + number), 8080};
}
std::vector<Target> targets(const std::vector<unsigned>& numbers) {
  std::vector<Target> all;
  for (const unsigned number : numbers) all.push_back(target(number));
  return all;
}
Frontend frontend(unsigned number, Transport transport = Transport::Tcp) {
  return {IpAddress(IpFamily::V4, 0x0a600000U + number), 80, transport};
}

class ServiceTableTest : public testing::Test {
 protected:
  [[nodiscard]] ServiceTable made() { return ServiceTable({services_, slots_, endpoints_}); }
  [[nodiscard]] std::size_t writes() const {
    return services_.writes() + slots_.writes() + endpoints_.writes();
  }

  /// What a reader could be given at this moment, whichever slot it picks; nothing: not served.
  [[nodiscard]] std::optional<std::set<Target>> seen(const Frontend& one) const {
    const auto value = *services_.find(bytesOf(toMap(one)));
    if (!value) return std::nullopt;
    const auto service = as<mn_service>(*value);
    std::set<Target> found;
    for (__u32 i = 0; i < service.count; ++i) {
      const auto backend = *slots_.find(bytesOf(mn_slot{service.id, i}));
      EXPECT_TRUE(backend.has_value()) << "counted and not there";
      if (!backend) continue;
      found.insert(fromMap(as<mn_backend>(*backend)));
      if (one.transport != Transport::Udp && service.affinity == 0) continue;
      const mn_endpoint endpoint{service.id, as<mn_backend>(*backend)};
      EXPECT_TRUE(endpoints_.find(bytesOf(endpoint))->has_value()) << "given, and not kept";
    }
    return found;
  }

  FakeTable services_;
  FakeTable slots_;
  FakeTable endpoints_;
  std::vector<Ended> ended_;
};

TEST_F(ServiceTableTest, LeadsWhereItWasToldTo) {
  auto table = made();
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1, 2, 3}), ended_));
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({1, 2, 3})));
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({2, 4}), ended_));
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({2, 4})));
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, {}, ended_));
  EXPECT_THAT(*seen(frontend(1)), IsEmpty()) << "known, so that it is refused";
  EXPECT_EQ(slots_.size(), 0U);
  ASSERT_TRUE(table.remove(frontend(1), ended_));
  EXPECT_EQ(seen(frontend(1)), std::nullopt);
  EXPECT_THAT(ended_, IsEmpty()) << "of TCP nobody is told";
  ASSERT_TRUE(table.remove(frontend(1), ended_)) << "nothing there is success";
}

TEST_F(ServiceTableTest, WhatIsAsItShallBeIsNotWritten) {
  auto table = made();
  ASSERT_TRUE(table.put(frontend(1, Transport::Udp), {kBlue}, targets({1, 2}), ended_));
  const std::size_t before = writes();
  ASSERT_TRUE(table.put(frontend(1, Transport::Udp), {kBlue}, targets({2, 1}), ended_));
  EXPECT_EQ(writes(), before);
  EXPECT_EQ(table.writes(), before);
}

TEST_F(ServiceTableTest, OneOfManyIsAFewWrites) {
  auto table = made();
  std::vector<Target> many;
  for (unsigned i = 0; i < 1000; ++i) many.push_back(target(i));
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, many, ended_));
  std::size_t before = writes();
  many.erase(many.begin());
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, many, ended_));
  EXPECT_LE(writes() - before, 3U);
  before = writes();
  many.push_back(target(5000));
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, many, ended_));
  EXPECT_LE(writes() - before, 2U);
}

TEST_F(ServiceTableTest, TheNextAgentTakesItOverWithoutAWrite) {
  {
    auto table = made();
    ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1, 2}), ended_));
    ASSERT_TRUE(table.put(frontend(2, Transport::Udp), {8}, targets({3}), ended_));
    ASSERT_TRUE(table.put(frontend(3), {8}, {}, ended_));
  }
  const std::size_t before = writes();
  auto next = made();
  ASSERT_TRUE(next.adopt());
  ASSERT_TRUE(next.put(frontend(1), {kBlue}, targets({1, 2}), ended_));
  ASSERT_TRUE(next.put(frontend(2, Transport::Udp), {8}, targets({3}), ended_));
  ASSERT_TRUE(next.put(frontend(3), {8}, {}, ended_));
  EXPECT_EQ(writes(), before);
  EXPECT_EQ(next.endpoints(), 3U);
  EXPECT_GT(next.size(), 0U);
  // An id that an earlier service had may still be in a reader's hand.
  ASSERT_TRUE(next.put(frontend(4), {8}, targets({9}), ended_));
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({1, 2})));
  EXPECT_THAT(*seen(frontend(4)), UnorderedElementsAreArray(targets({9})));
}

TEST_F(ServiceTableTest, UdpTellsWhatEnded) {
  auto table = made();
  const auto udp = frontend(1, Transport::Udp);
  ASSERT_TRUE(table.put(udp, {kBlue}, targets({1, 2, 3}), ended_));
  EXPECT_THAT(ended_, IsEmpty());
  ASSERT_TRUE(table.put(udp, {kBlue}, targets({2}), ended_));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].network, kBlue);
  EXPECT_THAT(ended_[0].targets, UnorderedElementsAreArray(targets({1, 3})));
  ended_.clear();
  ASSERT_TRUE(table.remove(udp, ended_));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_THAT(ended_[0].targets, ElementsAre(target(2)));
  EXPECT_EQ(endpoints_.size() + slots_.size() + services_.size(), 0U);
}

TEST_F(ServiceTableTest, AnotherNetworkIsAnotherService) {
  auto table = made();
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1}), ended_));
  const auto before = as<mn_service>(**services_.find(bytesOf(toMap(frontend(1)))));
  ASSERT_TRUE(table.put(frontend(1), {9}, targets({1}), ended_));
  const auto now = as<mn_service>(**services_.find(bytesOf(toMap(frontend(1)))));
  EXPECT_EQ(now.network, 9U);
  EXPECT_NE(now.id, before.id);
}

TEST_F(ServiceTableTest, SaysForWhomAServiceIsAndKeepsItsId) {
  const auto service = [&] {
    return as<mn_service>(**services_.find(bytesOf(toMap(frontend(1)))));
  };
  auto table = made();
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1}), ended_));
  EXPECT_EQ(service().flags, 0U);
  const auto id = service().id;
  ASSERT_TRUE(table.put(frontend(1), {kBlue, 0, true}, targets({1}), ended_));
  EXPECT_EQ(service().flags, static_cast<__u32>(MN_REACHES_CLUSTER));
  EXPECT_EQ(service().id, id);
  auto successor = made();
  ASSERT_TRUE(successor.adopt());
  const std::size_t before = writes();
  ASSERT_TRUE(successor.put(frontend(1), {kBlue, 0, true}, targets({1}), ended_));
  EXPECT_EQ(writes(), before) << "it is known from the map";
  ASSERT_TRUE(successor.put(frontend(1), {kBlue}, targets({1}), ended_));
  EXPECT_EQ(service().flags, 0U);
}

TEST_F(ServiceTableTest, WithAnAffinityItsEndpointsAreKnown) {
  auto table = made();
  const auto affinity = [&] {
    return as<mn_service>(**services_.find(bytesOf(toMap(frontend(1))))).affinity;
  };
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1, 2}), ended_));
  EXPECT_EQ(affinity(), 0U);
  EXPECT_EQ(endpoints_.size(), 0U);
  const auto id = as<mn_service>(**services_.find(bytesOf(toMap(frontend(1))))).id;
  ASSERT_TRUE(table.put(frontend(1), {kBlue, 60}, targets({2, 3}), ended_));
  EXPECT_EQ(affinity(), 60U);
  EXPECT_EQ(as<mn_service>(**services_.find(bytesOf(toMap(frontend(1))))).id, id) << "no other";
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({2, 3})));
  EXPECT_EQ(endpoints_.size(), 2U);
  const std::size_t before = writes();
  ASSERT_TRUE(table.put(frontend(1), {kBlue, 120}, targets({2, 3}), ended_));
  EXPECT_EQ(writes(), before + 1);
  {
    auto next = made();
    ASSERT_TRUE(next.adopt());
    ASSERT_TRUE(next.put(frontend(1), {kBlue, 120}, targets({2, 3}), ended_));
    EXPECT_EQ(writes(), before + 1) << "the next agent writes nothing";
  }
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({2, 3}), ended_));
  EXPECT_EQ(endpoints_.size(), 0U);
  ASSERT_TRUE(table.put(frontend(1), {kBlue, 60}, targets({2}), ended_));
  ASSERT_TRUE(table.remove(frontend(1), ended_));
  EXPECT_EQ(endpoints_.size(), 0U);
  EXPECT_THAT(ended_, IsEmpty()) << "of TCP nobody is told";
}

TEST_F(ServiceTableTest, AFullMapKeepsWhatIsThere) {
  auto table = made();
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1, 2}), ended_));
  slots_.setCapacity(3);
  auto full = table.put(frontend(2), {kBlue}, targets({3, 4}), ended_);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, "MapFull");
  EXPECT_EQ(seen(frontend(1))->size(), 2U);
  EXPECT_EQ(seen(frontend(2))->size(), 1U) << "as many as there is room for";
  // All replaced where there is no room for both: what goes makes some.
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({5, 6}), ended_));
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({5, 6})));
  slots_.setCapacity(4);
  EXPECT_TRUE(table.put(frontend(2), {kBlue}, targets({3, 4}), ended_)) << "room again";
  services_.setCapacity(2);
  EXPECT_FALSE(table.put(frontend(3), {kBlue}, {}, ended_));
  services_.setCapacity(3);
  EXPECT_TRUE(table.put(frontend(3), {kBlue}, {}, ended_));
}

TEST_F(ServiceTableTest, WithoutRoomForAnAffinityItGoesOnWithoutOne) {
  auto table = made();
  const auto affinity = [&] {
    return as<mn_service>(**services_.find(bytesOf(toMap(frontend(1))))).affinity;
  };
  ASSERT_TRUE(table.put(frontend(1), {kBlue}, targets({1, 2}), ended_));
  endpoints_.setCapacity(1);
  const auto full = table.put(frontend(1), {kBlue, 60}, targets({2, 3}), ended_);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, "MapFull");
  EXPECT_EQ(affinity(), 0U);
  EXPECT_EQ(endpoints_.size(), 0U);
  EXPECT_THAT(*seen(frontend(1)), UnorderedElementsAreArray(targets({2, 3})));
  endpoints_.setCapacity(2);
  ASSERT_TRUE(table.put(frontend(1), {kBlue, 60}, targets({2, 3}), ended_)) << "room again";
  EXPECT_EQ(affinity(), 60U);
  EXPECT_EQ(endpoints_.size(), 2U);
}

// At each moment a reader finds endpoints of before or of after, never none where both have some.
// An agent that is killed there leaves what its successor makes whole.
TEST_F(ServiceTableTest, RandomHistoriesAreWholeAfterEachWrite) {
  std::mt19937 numbers(7);
  const auto random = [&numbers] { return static_cast<unsigned>(numbers()); };
  for (int history = 0; history < 300; ++history) {
    services_ = FakeTable();
    slots_ = FakeTable();
    endpoints_ = FakeTable();
    std::map<Frontend, std::vector<Target>> model;
    std::map<Frontend, std::uint32_t> affinities;
    auto table = made();
    for (int step = 0; step < 30; ++step) {
      const auto which =
          frontend(random() % 3, random() % 2 == 0 ? Transport::Udp : Transport::Tcp);
      std::set<Target> wanted;
      for (unsigned i = random() % 6; i > 0; --i) wanted.insert(target(random() % 8));
      const bool removes = random() % 8 == 0;
      const auto before = seen(which);
      const auto look = [&] {
        const auto now = seen(which);
        if (!now) return;
        for (const Target& one : *now) {
          EXPECT_TRUE((before && before->contains(one)) || (!removes && wanted.contains(one)));
        }
        if (before && !before->empty() && !removes && !wanted.empty()) {
          EXPECT_FALSE(now->empty());
        }
        // A successor of an agent that ends here.
        FakeTable services(services_);
        FakeTable slots(slots_);
        FakeTable endpoints(endpoints_);
        for (FakeTable* map : {&services, &slots, &endpoints}) map->afterWrite = [] {};
        ServiceTable next({services, slots, endpoints});
        EXPECT_TRUE(next.adopt());
        EXPECT_EQ(slots.size(), next.endpoints());
      };
      for (FakeTable* map : {&services_, &slots_, &endpoints_}) map->afterWrite = look;
      const std::vector<Target> list(wanted.begin(), wanted.end());
      if (removes) {
        ASSERT_TRUE(table.remove(which, ended_));
        model.erase(which);
      } else {
        if (random() % 4 == 0) affinities[which] = random() % 3;
        ASSERT_TRUE(table.put(which, {kBlue, affinities[which]}, list, ended_));
        model[which] = list;
      }
      for (FakeTable* map : {&services_, &slots_, &endpoints_}) map->afterWrite = [] {};
      EXPECT_EQ(table.endpoints(), slots_.size());
      std::size_t kept = 0;
      std::size_t all = 0;
      for (const auto& [one, expected] : model) {
        ASSERT_THAT(*seen(one), UnorderedElementsAreArray(expected));
        all += expected.size();
        if (one.transport == Transport::Udp || affinities[one] > 0) kept += expected.size();
      }
      ASSERT_EQ(services_.size(), model.size());
      ASSERT_EQ(slots_.size(), all);
      ASSERT_EQ(endpoints_.size(), kept);
    }
  }
}

TEST(Words, AddressesComeBackAsTheyWere) {
  for (const char* text : {"10.66.0.1", "0.0.0.0", "255.255.255.255", "fd00:66::1", "::1"}) {
    const Target one{*IpAddress::parse(text), 53};
    EXPECT_EQ(fromMap(toMap(one)), one);
    const Frontend end{one.address, 443, Transport::Udp};
    EXPECT_EQ(fromMap(toMap(end)), end);
  }
}

TEST(Words, NetworksHaveKeysOfTheirOwn) {
  EXPECT_NE(keyOf(NetworkUid("a")), keyOf(NetworkUid("b")));
  EXPECT_EQ(keyOf(NetworkUid("a")), keyOf(NetworkUid("a")));
}

}  // namespace
}  // namespace multinet::agent::services
