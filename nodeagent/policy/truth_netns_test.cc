// What the kernel lets pass against what the program says, for worlds that are drawn.
#include <gtest/gtest.h>

#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/bridge_fixture.h"

namespace multinet::agent::policing {
namespace {

constexpr unsigned kPods = 7;
/// The first of them are on one node, the others on another.
constexpr unsigned kOnFirst = 4;

class TruthTest : public testing::Test {
 protected:
  TruthTest() : one_({"br-blue"}), two_({"br-blue"}), outside_(80) {
    if (!one_.guard().tracking()) return;
    one_.wire(two_);
    for (unsigned i = 1; i <= kPods; ++i) {
      pods_.push_back(std::make_unique<TestPod>(i));
      pods_.back()->plug(i <= kOnFirst ? one_ : two_);
    }
    outside_.plug(two_);
    // So that no frame is flooded.
    for (const auto& pod : pods_) pod->announce();
    outside_.announce();
  }

  void SetUp() override {
    if (!one_.guard().tracking()) GTEST_SKIP() << "the kernel tells no flows of bridges";
    // Each probe is a flow of its own, more than a small machine grants a sender.
    for (TestNode* node : {&one_, &two_}) node->start({.mostFlows = 1U << 20U});
  }

  /// By turns all of it, and what differs from the last time.
  void commit(const policy::Program& program) {
    const policy::AddressChange since = changeOf(held_.addresses, program.addresses);
    isWhole_ = !isWhole_;
    for (TestNode* node : {&one_, &two_}) {
      Policed wanted{program, {}};
      for (unsigned i = 1; i <= kPods; ++i) {
        const bool isHere = (i <= kOnFirst) == (node == &one_);
        if (isHere) wanted.ports[keyOf(i)] = pods_[i - 1]->port();
      }
      Status done = fail(Code::NotFound, "NotHeld", "");
      if (!isWhole_) {
        done = node->guard().change(kBlue, "br-blue",
                                    {program, since, &wanted.ports, &wanted.gateways});
        changes_ += done ? 1 : 0;
      }
      if (!done && done.error().reason == "NotHeld") {
        done = node->guard().commit(kBlue, "br-blue", std::move(wanted));
      }
      ASSERT_TRUE(done) << done.error().message << told(program);
    }
    held_ = program;
  }

  /// Whose the address is; the world's pods move between namespaces.
  const policy::Pod* ownerOf(const policy::World& world, const IpAddress& address) const {
    return world.podAt("blue", address);
  }
  [[nodiscard]] policy::PodKey keyOf(unsigned number) const { return keys_.at(number); }
  [[nodiscard]] TestPod& endOf(const policy::Pod* pod) {
    if (pod == nullptr) return outside_;
    return *pods_.at(static_cast<std::size_t>(std::stoi(pod->key.name.substr(4))) - 1);
  }
  void know(const policy::World& world) {
    keys_.clear();
    for (unsigned i = 1; i <= kPods; ++i) keys_[i] = {"none", "pod-" + std::to_string(i)};
    for (const auto& pod : world.pods) {
      keys_[static_cast<unsigned>(std::stoi(pod.key.name.substr(4)))] = pod.key;
    }
  }

  /// Sends some first packets, and counts those that weren't treated as the program says.
  unsigned probe(policy::testing::Draw& draw, const policy::World& world,
                 const policy::Program& program, unsigned count) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < count; ++i) {
      const policy::Packet packet = draw.packet();
      const policy::Pod* const from = ownerOf(world, packet.source);
      const policy::Pod* const to = ownerOf(world, packet.destination);
      if (from == to) continue;
      const bool wanted = policy::allows(program, packet, from == nullptr ? nullptr : &from->key,
                                         to == nullptr ? nullptr : &to->key);
      TestPod& sender = endOf(from);
      TestPod& receiver = endOf(to);
      const Bytes frame = firstFrame(packet, sender.mac(), receiver.mac());
      const bool seen = arrives(sender, frame, receiver);
      (wanted ? allowed_ : denied_) += 1;
      wrong += seen == wanted ? 0U : 1U;
      EXPECT_EQ(seen, wanted) << packet.source.str() << " -> " << packet.destination.str() << " "
                              << (packet.protocol ? static_cast<int>(*packet.protocol) : -1) << ":"
                              << packet.port;
    }
    return wrong;
  }

  std::string told(const policy::Program& program) {
    std::string text = "\nprogram:";
    for (const auto& [pod, subject] : program.egress) {
      text += " egress " + pod.str() + "=" + std::to_string(subject);
    }
    for (const auto& [pod, subject] : program.ingress) {
      text += " ingress " + pod.str() + "=" + std::to_string(subject);
    }
    for (TestNode* node : {&one_, &two_}) {
      text += "\nkernel:";
      for (const auto& [set, elements] : node->elements()) {
        text += "\n  " + set + ":";
        for (const auto& element : elements) text += " [" + element + "]";
      }
    }
    return text;
  }

  TestNode one_;
  TestNode two_;
  TestPod outside_;
  std::vector<std::unique_ptr<TestPod>> pods_;
  std::map<unsigned, policy::PodKey> keys_;
  policy::Program held_;
  bool isWhole_ = false;
  unsigned changes_ = 0;
  unsigned allowed_ = 0;
  unsigned denied_ = 0;
};

TEST_F(TruthTest, TheKernelLetsPassWhatTheProgramAllows) {
  constexpr unsigned kWorlds = 80;
  constexpr unsigned kSteps = 4;
  constexpr unsigned kPackets = 30;
  policy::Numbers numbers;
  for (unsigned seed = 1; seed <= kWorlds; ++seed) {
    policy::testing::Draw draw(seed);
    policy::World world = draw.world();
    policy::Network network = draw.network();

    // From one program to the next, as in a cluster's life.
    for (unsigned step = 0; step < kSteps; ++step) {
      know(world);
      const policy::Program program = policy::compile(world, network, numbers);
      ASSERT_NO_FATAL_FAILURE(commit(program)) << "seed " << seed << ", step " << step;
      ASSERT_EQ(probe(draw, world, program, kPackets), 0U)
          << "seed " << seed << ", step " << step << told(program);
      draw.change(world);
    }
  }
  EXPECT_GT(allowed_, 500U);
  EXPECT_GT(denied_, 500U);
  EXPECT_GT(changes_, 100U);
}

}  // namespace
}  // namespace multinet::agent::policing
