#include "lib/api/cluster_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using testing::goodNetwork;
using ::testing::HasSubstr;

PodNetwork withSubnets(const std::vector<std::string>& cidrs) {
  PodNetwork network = goodNetwork("blue");
  network.spec.ipam.subnets.clear();
  for (const std::string& cidr : cidrs) {
    Subnet subnet;
    subnet.cidr = cidr;
    network.spec.ipam.subnets.push_back(subnet);
  }
  return network;
}

ClusterRange range(const char* prefix, RangeUse use, const char* owner) {
  return {IpPrefix::parse(prefix).value(), use, owner};
}

const std::vector<ClusterRange>& cluster() {
  static const std::vector<ClusterRange> ranges{
      range("10.96.0.0/16", RangeUse::Services, "kubernetes"),
      range("fd00:96::/112", RangeUse::Services, "kubernetes"),
      range("10.244.1.0/24", RangeUse::Pods, "n1"), range("192.168.7.11/32", RangeUse::Node, "n1"),
      range("192.168.7.12/32", RangeUse::Node, "n2")};
  return ranges;
}

TEST(ClusterRangesTest, AFreeRangeIsFine) {
  const Report report =
      checkClusterRanges(withSubnets({"10.20.0.0/16", "fd00:20::/64"}), nullptr, cluster());
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.warnings.empty());
}

TEST(ClusterRangesTest, ServicesAndPodsAreRefusedWithFieldAndOwner) {
  for (const char* cidr : {"10.96.0.0/16", "10.96.3.0/24", "10.0.0.0/8", "fd00:96::/64"}) {
    const Report report =
        checkClusterRanges(withSubnets({"10.20.0.0/16", cidr}), nullptr, cluster());
    ASSERT_FALSE(report.ok()) << cidr;
    EXPECT_EQ(report.violations[0].path, "spec.ipam.subnets[1].cidr");
    EXPECT_THAT(report.violations[0].str(), HasSubstr("ServiceCIDR kubernetes")) << cidr;
  }
  const Report pods = checkClusterRanges(withSubnets({"10.244.0.0/16"}), nullptr, cluster());
  ASSERT_EQ(pods.violations.size(), 1U);
  EXPECT_THAT(pods.violations[0].str(), HasSubstr("the pods' range 10.244.1.0/24 of node n1"));
}

TEST(ClusterRangesTest, ANodesAddressIsAWarningAndNamedOnce) {
  const Report report = checkClusterRanges(withSubnets({"192.168.7.0/24"}), nullptr, cluster());
  EXPECT_TRUE(report.ok());
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_THAT(report.warnings[0].str(), HasSubstr("the address 192.168.7.11 of node n1"));
}

TEST(ClusterRangesTest, WhatWasAcceptedOnceStaysRepairable) {
  const PodNetwork before = withSubnets({"10.96.0.0/16"});
  EXPECT_TRUE(checkClusterRanges(before, &before, cluster()).ok());
  const PodNetwork after = withSubnets({"10.96.0.0/16", "10.244.1.0/25"});
  const Report report = checkClusterRanges(after, &before, cluster());
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_EQ(report.violations[0].path, "spec.ipam.subnets[1].cidr");
}

}  // namespace
}  // namespace multinet::api
