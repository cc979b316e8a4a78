#include "controller/services/slices.h"

#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>

#include "lib/api/service.h"

namespace multinet::controller {
namespace {

using api::AddressFamily;
using ::testing::IsEmpty;

const std::vector kV4{AddressFamily::IPv4};
const std::vector kBoth{AddressFamily::IPv4, AddressFamily::IPv6};

SliceOwner owner() {
  return {"shop", "web", "1f0c22ab-0000", "blue", {{"team", "a"}}};
}

WantedEndpoint endpoint(int pod, bool ready = true, std::int32_t port = 80,
                        const std::string& addressType = "IPv4") {
  WantedEndpoint made;
  made.addressType = addressType;
  made.ports = {{"http", "TCP", port, ""}};
  const auto number = std::to_string(pod);
  made.endpoint.addresses = {addressType == "IPv4" ? "10.20.0." + number : "fd00:20::" + number};
  made.endpoint.conditions = {ready, ready, false};
  made.endpoint.targetRef = k8s::ObjectReference{"Pod", "shop", "p" + number, "u" + number};
  return made;
}
std::vector<WantedEndpoint> endpoints(int from, int to) {
  std::vector<WantedEndpoint> made;
  for (int i = from; i < to; ++i) made.push_back(endpoint(i));
  return made;
}

/// Slices as the server keeps them.
class Server {
 public:
  std::map<std::string, k8s::EndpointSlice> slices;

  std::vector<SliceChange> plan(const std::vector<WantedEndpoint>& wanted,
                                const std::vector<AddressFamily>& families = kV4) const {
    std::vector<const k8s::EndpointSlice*> standing;
    for (const auto& [name, slice] : slices) standing.push_back(&slice);
    return planSlices(owner(), families, wanted, standing);
  }
  /// Carries out what is planned; says how many writes that were.
  std::size_t put(const std::vector<WantedEndpoint>& wanted,
                  const std::vector<AddressFamily>& families = kV4) {
    auto changes = plan(wanted, families);
    for (auto& change : changes) apply(change);
    return changes.size();
  }
  void apply(SliceChange& change) {
    if (!change.wanted) {
      slices.erase(change.standing->metadata.name);
    } else if (change.standing == nullptr) {
      EXPECT_TRUE(slices.try_emplace(change.wanted->metadata.name, *change.wanted).second)
          << change.wanted->metadata.name << " is taken";
    } else {
      slices[change.wanted->metadata.name] = *change.wanted;
    }
  }
  std::map<std::string, std::string> placesByUid() const {
    std::map<std::string, std::string> places;
    for (const auto& [name, slice] : slices) {
      for (const auto& one : slice.endpoints) {
        const auto id = slice.addressType + one.targetRef->uid;
        EXPECT_TRUE(places.try_emplace(id, name).second) << id << " stands twice";
      }
    }
    return places;
  }
};

TEST(Slices, OfAServiceWithoutEndpointsIsAnEmptyOneInEachFamily) {
  Server server;
  EXPECT_EQ(server.put({}, kBoth), 2U);
  ASSERT_EQ(server.slices.size(), 2U);
  const auto& slice = server.slices.at("web-1f0c22ab-4-0");
  EXPECT_THAT(slice.endpoints, IsEmpty());
  EXPECT_THAT(slice.ports, IsEmpty());
  EXPECT_EQ(server.slices.at("web-1f0c22ab-6-0").addressType, "IPv6");
  EXPECT_EQ(server.put({}, kBoth), 0U);
  EXPECT_EQ(server.put({endpoint(1)}, kBoth), 1U) << "the empty one is used";
  EXPECT_EQ(server.slices.size(), 2U);
}

TEST(Slices, SayWhoseTheyAre) {
  Server server;
  server.put(endpoints(0, 1));
  const auto& metadata = server.slices.begin()->second.metadata;
  EXPECT_EQ(metadata.labels,
            (k8s::StringMap{{"team", "a"},
                            {"kubernetes.io/service-name", "web"},
                            {"endpointslice.kubernetes.io/managed-by", "multinet.dev"},
                            {"service.kubernetes.io/service-proxy-name", "multinet.dev"},
                            {"service.kubernetes.io/headless", ""},
                            {"multinet.dev/network", "blue"}}));
  ASSERT_EQ(metadata.ownerReferences.size(), 1U);
  EXPECT_EQ(metadata.ownerReferences->at(0).uid, owner().uid);
  EXPECT_EQ(metadata.ownerReferences->at(0).controller, true);
  server.slices.begin()->second.metadata.labels.edit().erase("service.kubernetes.io/headless");
  EXPECT_EQ(server.put(endpoints(0, 1)), 1U) << "a label that somebody took comes back";
}

TEST(Slices, HoldAHundredEach) {
  Server server;
  EXPECT_EQ(server.put(endpoints(0, 250)), 3U);
  std::multiset<std::size_t> sizes;
  for (const auto& [name, slice] : server.slices) sizes.insert(slice.endpoints.size());
  EXPECT_EQ(sizes, (std::multiset<std::size_t>{50, 100, 100}));
}

TEST(Slices, AChangeWritesItsOwnSliceAlone) {
  Server server;
  server.put(endpoints(0, 300));
  auto wanted = endpoints(0, 300);
  const auto places = server.placesByUid();
  wanted[150] = endpoint(150, false);
  const auto changes = server.plan(wanted);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].standing->metadata.name, places.at("IPv4u150"));
  EXPECT_TRUE(changes[0].departs);
  server.put(wanted);
  EXPECT_EQ(server.placesByUid(), places);
  wanted.erase(wanted.begin() + 150);
  EXPECT_EQ(server.put(wanted), 1U);
  wanted.push_back(endpoint(300));
  EXPECT_EQ(server.put(wanted), 1U);
  EXPECT_EQ(server.placesByUid().at("IPv4u300"), places.at("IPv4u150")) << "it filled the hole";
}

TEST(Slices, NewOnesGoWhereAnythingChangesAnyway) {
  Server server;
  server.put(endpoints(0, 200));
  auto wanted = endpoints(0, 200);
  wanted.erase(wanted.begin() + 10, wanted.begin() + 20);  // of the first slice
  wanted.erase(wanted.end() - 1);                          // of the second, which is fuller
  server.put(wanted);
  wanted[0] = endpoint(0, false);
  wanted.push_back(endpoint(201));
  EXPECT_EQ(server.put(wanted), 1U);
}

TEST(Slices, DeparturesComeFirst) {
  Server server;
  server.put(endpoints(0, 150));
  auto wanted = endpoints(0, 160);
  for (auto& one : wanted) {
    if (one.endpoint.targetRef->uid == "u120") one.endpoint.conditions = {false, true, true};
  }
  wanted.erase(wanted.begin() + 5);
  wanted.push_back(endpoint(3, true, 80, "IPv6"));
  const auto changes = server.plan(wanted, kBoth);
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_TRUE(changes[0].departs);
  EXPECT_TRUE(changes[1].departs);
  EXPECT_FALSE(changes[2].departs);
}

TEST(Slices, OfOtherPortsAreOthers) {
  Server server;
  auto wanted = endpoints(0, 3);
  wanted.push_back(endpoint(3, true, 8080));
  EXPECT_EQ(server.put(wanted), 2U);
  const auto places = server.placesByUid();
  EXPECT_NE(places.at("IPv4u3"), places.at("IPv4u0"));
}

TEST(Slices, GoOnWithOtherPortsInTheirPlaces) {
  Server server;
  server.put(endpoints(0, 150));
  const auto places = server.placesByUid();
  std::vector<WantedEndpoint> wanted;
  for (int i = 0; i < 150; ++i) wanted.push_back(endpoint(i, true, 81));
  EXPECT_EQ(server.put(wanted), 2U);
  EXPECT_EQ(server.placesByUid(), places);
  EXPECT_EQ(server.slices.begin()->second.ports.at(0).port, 81);
}

TEST(Slices, OfAFamilyThatIsWantedNoMoreGo) {
  Server server;
  server.put({endpoint(1), endpoint(1, true, 80, "IPv6")}, kBoth);
  EXPECT_EQ(server.slices.size(), 2U);
  server.put({endpoint(1)}, kV4);
  EXPECT_EQ(server.slices.size(), 1U);
}

/// What any plan must come to, worked out the simplest way: each endpoint once, in a slice of its
/// family and ports.
void expectSame(const Server& server, const std::vector<WantedEndpoint>& wanted,
                const std::vector<AddressFamily>& families) {
  std::map<std::string, WantedEndpoint> expected;
  for (const auto& one : wanted) expected[one.addressType + one.endpoint.targetRef->uid] = one;
  std::map<std::string, WantedEndpoint> found;
  std::set<std::string> types;
  for (const auto& [name, slice] : server.slices) {
    types.insert(slice.addressType);
    EXPECT_LE(slice.endpoints.size(), kMostEndpoints);
    for (const auto& one : slice.endpoints) {
      const auto id = slice.addressType + one.targetRef->uid;
      EXPECT_TRUE(
          found.try_emplace(id, WantedEndpoint{slice.addressType, slice.ports, one}).second);
    }
  }
  EXPECT_TRUE(found == expected);
  for (const auto family : families) {
    EXPECT_TRUE(types.contains(family == AddressFamily::IPv4 ? "IPv4" : "IPv6"));
  }
}

/// Pods come, go, become ready, end, change ports; leaders change at any time, and some writes are
/// lost: what the next plan starts from is what stands.
TEST(Slices, EndAsANaiveModelSaysAfterAnyHistory) {
  std::mt19937 random(20261127);
  const auto roll = [&](int sides) {
    return static_cast<int>(random() % static_cast<unsigned>(sides));
  };
  for (int history = 0; history < 100; ++history) {
    Server server;
    std::map<int, WantedEndpoint> pods;
    int next = 0;
    std::int32_t port = 80;
    for (int step = 0; step < 40; ++step) {
      const int changes = 1 + roll(history % 3 == 0 ? 60 : 4);
      for (int i = 0; i < changes; ++i) {
        const auto some = pods.empty()
                              ? pods.end()
                              : std::next(pods.begin(), roll(static_cast<int>(pods.size())));
        const int what = roll(10);
        if (what < 5 || some == pods.end()) {
          pods[next] = endpoint(next, roll(2) == 0, roll(20) == 0 ? 9999 : port);
          ++next;
        } else if (what < 7) {
          pods.erase(some);
        } else {
          some->second.endpoint.conditions = {roll(2) == 0, roll(2) == 0, roll(2) == 0};
        }
      }
      if (roll(15) == 0) {
        port = 80 + roll(3);
        for (auto& [pod, one] : pods) one.ports[0].port = port;
      }
      std::vector<WantedEndpoint> wanted;
      const bool both = roll(4) != 0;
      for (const auto& [pod, one] : pods) {
        wanted.push_back(one);
        if (!both) continue;
        auto second = one;
        second.addressType = "IPv6";
        second.endpoint.addresses = {"fd00:20::" + std::to_string(pod)};
        wanted.push_back(std::move(second));
      }
      const auto families = both ? kBoth : kV4;
      auto plan = server.plan(wanted, families);
      for (auto& change : plan) {
        if (roll(4) != 0) server.apply(change);
      }
      const auto before = server.placesByUid();
      const auto standing = server.slices;
      server.put(wanted, families);
      expectSame(server, wanted, families);
      EXPECT_EQ(server.put(wanted, families), 0U) << "it is settled";
      // An endpoint whose slice has the ports that it wants doesn't move.
      const auto after = server.placesByUid();
      for (const auto& one : wanted) {
        const auto id = one.addressType + one.endpoint.targetRef->uid;
        const auto was = before.find(id);
        if (was == before.end() || standing.at(was->second).ports != one.ports) continue;
        EXPECT_EQ(after.at(id), was->second);
      }
      if (::testing::Test::HasFailure()) FAIL() << "history " << history << ", step " << step;
    }
  }
}

/// What a few pods change is planned of their slices alone, and comes to the same.
TEST(Slices, APartIsPlannedAsTheWhole) {
  std::mt19937 random(11);
  const auto roll = [&](int sides) {
    return static_cast<int>(random() % static_cast<unsigned>(sides));
  };
  for (int history = 0; history < 40; ++history) {
    Server whole;
    std::map<int, WantedEndpoint> wanted;
    const auto all = [&] {
      std::vector<WantedEndpoint> list;
      for (const auto& [number, one] : wanted) list.push_back(one);
      return list;
    };
    for (int i = 0; i < 150 + roll(150); ++i) wanted[i] = endpoint(i);
    whole.put(all());
    for (int step = 0; step < 20; ++step) {
      std::set<std::string> pods;
      std::vector<WantedEndpoint> theirs;
      for (int i = 0; i < 1 + roll(30); ++i) {
        const int number = roll(320);
        if (!pods.insert("p" + std::to_string(number)).second) continue;
        if (roll(3) == 0) {
          wanted.erase(number);
          continue;
        }
        wanted[number] = endpoint(number, roll(2) == 0, roll(6) == 0 ? 81 : 80);
      }
      for (const auto& [number, one] : wanted) {
        if (pods.contains("p" + std::to_string(number))) theirs.push_back(one);
      }
      Server part = whole;
      std::vector<const k8s::EndpointSlice*> standing;
      for (const auto& [name, slice] : part.slices) standing.push_back(&slice);
      const auto of = partOf(pods, theirs, standing);
      auto changes = planSlices(owner(), kV4, of.endpoints, of.standing, of.others);
      whole.put(all());
      for (auto& change : changes) part.apply(change);
      ASSERT_EQ(part.slices, whole.slices) << "history " << history << ", step " << step;
      ASSERT_TRUE(part.plan(all()).empty());
    }
  }
}

TEST(Slices, AreCountedAsTheirConditionsSay) {
  Server server;
  auto ending = endpoint(2, false);
  ending.endpoint.conditions = {false, true, true};
  server.put({endpoint(1), ending, endpoint(3, false)});
  std::vector<const k8s::EndpointSlice*> standing;
  for (const auto& [name, slice] : server.slices) standing.push_back(&slice);
  EXPECT_EQ(countsOf(standing), (api::EndpointCounts{1, 2, 1}));
}

}  // namespace
}  // namespace multinet::controller
