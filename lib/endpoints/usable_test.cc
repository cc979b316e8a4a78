#include "lib/endpoints/usable.h"

#include <gmock/gmock.h>

namespace multinet::endpoints {
namespace {

using api::TrafficPolicy;
using testing::ElementsAre;
using testing::ElementsAreArray;

/// `r` ready, `s` serving, `t` terminating, `h` here; hinted for this node `N` or another `n`, for
/// this zone `Z` or another `z`.
EndpointView endpoint(unsigned last, std::string_view what) {
  const auto has = [what](char letter) { return what.find(letter) != std::string_view::npos; };
  const auto hint = [&](char ours, char others) {
    if (has(ours)) return Hint::Ours;
    return has(others) ? Hint::Others : Hint::None;
  };
  return {{IpAddress(IpFamily::V4, last), 80},
          has('r'),
          has('s'),
          has('t'),
          has('h'),
          hint('N', 'n'),
          hint('Z', 'z')};
}

struct Case {
  const char* about;
  std::vector<const char*> endpoints;
  TrafficPolicy policy;
  std::vector<unsigned> usable;  ///< by their places, from 0
};

TEST(Usable, IsWhatKubeProxyMeans) {
  const auto cluster = TrafficPolicy::Cluster;
  const auto local = TrafficPolicy::Local;
  const std::vector<Case> cases{
      {"none", {}, cluster, {}},
      {"ready ones", {"rs", "rs"}, cluster, {0, 1}},
      {"ready that doesn't serve: its service publishes those", {"r"}, cluster, {0}},
      {"not ready, not ending", {"", "s"}, cluster, {}},
      {"one that ends beside a ready one", {"st", "rs"}, cluster, {1}},
      {"none ready: those that end and serve", {"st", "t", "", "st"}, cluster, {0, 3}},
      {"published and ending: ready all the same", {"rst", "st"}, cluster, {0}},
      {"here or not", {"rsh", "rs"}, cluster, {0, 1}},
      {"local: here alone", {"rsh", "rs", "rsh"}, local, {0, 2}},
      {"local: none here", {"rs", "rs"}, local, {}},
      {"local: one that ends here, though others are ready elsewhere", {"sth", "rs"}, local, {0}},
      {"local: ready here before ending here", {"sth", "rsh"}, local, {1}},
      {"local: that ends elsewhere", {"st"}, local, {}},
      {"local: not ready here", {"h", "sh"}, local, {}},
      {"this zone's", {"rsz", "rsZ", "rsZ"}, cluster, {1, 2}},
      {"none in this zone", {"rsz", "rsz"}, cluster, {0, 1}},
      {"one without a hint: nobody's count", {"rsz", "rs", "rsZ"}, cluster, {0, 1, 2}},
      {"that isn't ready needs no hint", {"rsz", "s", "rsZ"}, cluster, {2}},
      {"this zone's isn't ready", {"rsz", "sZ"}, cluster, {0}},
      {"this node's before this zone's", {"rsnZ", "rsNZ", "rsnz"}, cluster, {1}},
      {"none on this node: this zone's", {"rsnZ", "rsnz", "rsnZ"}, cluster, {0, 2}},
      {"one without a node: this zone's", {"rsNZ", "rsZ", "rsnz"}, cluster, {0, 1}},
      {"no zones known: this node's", {"rsn", "rsN"}, cluster, {1}},
      {"neither: all", {"rsn", "rsn"}, cluster, {0, 1}},
      {"none ready: hints don't count", {"stz", "st"}, cluster, {0, 1}},
      {"one ends in this zone, another is ready elsewhere", {"stZ", "rsz"}, cluster, {1}},
      {"local passes over hints", {"rshz", "rsZ"}, local, {0}},
  };
  for (const Case& one : cases) {
    std::vector<EndpointView> endpoints;
    for (std::size_t i = 0; i < one.endpoints.size(); ++i) {
      endpoints.push_back(endpoint(static_cast<unsigned>(i), one.endpoints[i]));
    }
    std::vector<Target> expected;
    for (const unsigned place : one.usable) expected.push_back(endpoints[place].target);
    EXPECT_THAT(usable(endpoints, one.policy), ElementsAreArray(expected)) << one.about;
  }
}

TEST(Usable, AnEndpointInTwoSlicesCountsOnce) {
  EXPECT_EQ(usable({endpoint(1, "rs"), endpoint(1, "rs")}, TrafficPolicy::Cluster).size(), 1U);
}

TEST(Use, SaysWhyAnEndpointGetsNoConnections) {
  EndpointView unnamed = endpoint(9, "rs");
  unnamed.target.port = 0;
  EXPECT_THAT(
      useOf({endpoint(1, "rs"), endpoint(2, "s"), endpoint(3, "st"), endpoint(4, "t"), unnamed},
            TrafficPolicy::Cluster),
      ElementsAre(Use::Used, Use::NotReady, Use::Terminating, Use::NotReady, Use::NoPort));
  EXPECT_THAT(
      useOf({endpoint(1, "rs"), endpoint(2, "sth"), endpoint(3, "h")}, TrafficPolicy::Local),
      ElementsAre(Use::Elsewhere, Use::Used, Use::NotReady));
  EXPECT_THAT(useOf({endpoint(1, "rsZ"), endpoint(2, "rsz"), endpoint(3, "stZ"), unnamed},
                    TrafficPolicy::Cluster),
              ElementsAre(Use::Used, Use::NotHinted, Use::Terminating, Use::NoPort));
}

}  // namespace
}  // namespace multinet::endpoints
