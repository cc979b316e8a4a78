#include "nodeagent/policy/ends.h"

#include "nodeagent/policy/bridge_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST(Ends, APortsBridgeIsTheOneThatItIsOn) {
  TestNode node({"br-blue", "br-red"});
  TestPod blue(1);
  TestPod red(2);
  blue.plug(node, "br-blue");
  red.plug(node, "br-red");
  const std::map<std::string, std::string> both = {{blue.port(), "br-blue"},
                                                   {red.port(), "br-red"}};
  EXPECT_EQ(bridgesOfPorts(node.netns().duplicate().value()).value(), both);
  ASSERT_TRUE(node.socket().run(netlink::setMaster({0, red.port()}, 0)));
  EXPECT_FALSE(bridgesOfPorts(node.netns().duplicate().value()).value().contains(red.port()));
}

}  // namespace
}  // namespace multinet::agent::policing
