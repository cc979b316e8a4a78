#include "nodeagent/node_name.h"

#include <gtest/gtest.h>

namespace multinet::agent {
namespace {

TEST(NodeName, IsWhatIsToldOrTheHosts) {
  EXPECT_EQ(nodeNameOf("node-a.example.com").value(), "node-a.example.com");
  const auto hosts = nodeNameOf("");
  if (hosts) {
    EXPECT_FALSE(hosts->empty());
  } else {
    EXPECT_NE(hosts.error().message.find("the host's name"), std::string::npos);
  }
}

// An option without a value takes the next word of the command line for it.
TEST(NodeName, IsNoOtherOption) {
  for (const char* wrong :
       {"--kubeconfig=/etc/kubernetes/kubelet.conf", "Node", "a b", "-a", "."}) {
    const auto refused = nodeNameOf(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().reason, "BadNodeName");
    EXPECT_NE(refused.error().message.find(wrong), std::string::npos);
  }
}

}  // namespace
}  // namespace multinet::agent
