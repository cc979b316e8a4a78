// What becomes of writes, on a server that refuses some of them.
#include "controller/writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>

#include "lib/api/network_peer.h"
#include "lib/api/pod_interface_set.h"
#include "lib/api/pod_network.h"
#include "lib/api/reservations.h"
#include "lib/base/fake_clock.h"
#include "test/support/apiserver.h"

namespace multinet::controller {
namespace {

using std::chrono::seconds;
using testing::ApiServer;
using testing::Fault;

class WriterTest : public ::testing::Test {
 protected:
  static std::unique_ptr<kube::Client> clientOf(const ApiServer& server) {
    kube::Config config;
    config.server = server.url();
    return kube::connect(config).value();
  }
  WriterOptions options() {
    WriterOptions made;
    made.leading = [this] { return leading_.load(); };
    made.refused = [this](const Write& write, const Error& /*error*/) {
      refused_.push_back(write.about.key.name);
    };
    made.ended = [this] {
      if (++tellings_ == 1) told_.count_down();
    };
    return made;
  }
  /// Makes an object on the server; its metadata as it was decided on.
  template <class T>
  k8s::ObjectMeta make(const std::string& name) {
    const auto made = client_->raw().create(
        kube::kindOf<T>(), {{"metadata", {{"name", name}}}, {"spec", {{"type", "VXLAN"}}}},
        nullptr);
    const auto body = nlohmann::json::parse(made.value());
    k8s::ObjectMeta metadata;
    metadata.name = name;
    metadata.uid = body["metadata"]["uid"];
    metadata.resourceVersion = body["metadata"]["resourceVersion"];
    return metadata;
  }
  static Write statusOf(const k8s::ObjectMeta& metadata, int vni = 7001) {
    return writeTo(api::kPodNetworkKind, metadata, Verb::PatchStatus, {{"status", {{"vni", vni}}}});
  }
  std::vector<Written> send(const std::vector<Write>& writes) {
    std::vector<PlannedWrite> planned;
    for (const auto& write : writes) planned.push_back({{0, write.key}, write});
    return send(planned);
  }
  /// In the order in which they were planned, all being of different objects.
  std::vector<Written> send(const std::vector<PlannedWrite>& planned) {
    auto written = writer_.begin(planned);
    writer_.wait();
    for (auto& one : writer_.ended()) written.push_back(std::move(one));
    const auto place = [&](const Written& one) {
      return std::ranges::find(planned, one.origin, &PlannedWrite::origin);
    };
    std::ranges::sort(written, {}, place);
    return written;
  }
  int requests(const std::string& text) {
    int count = 0;
    for (const auto& request : server_.requests()) {
      if (request.find(text) != std::string::npos) ++count;
    }
    return count;
  }

  ApiServer server_;
  std::unique_ptr<kube::Client> client_ = clientOf(server_);
  FakeClock clock_;
  std::atomic<bool> leading_ = true;
  std::vector<std::string> refused_;
  std::atomic<int> tellings_ = 0;
  std::latch told_{1};
  Writer writer_{*client_, clock_, options()};
};

TEST_F(WriterTest, WhatTheServerRefusesHoldsUpNothingElseAndIsTriedSeldom) {
  const auto bad = statusOf(make<api::PodNetwork>("bad"));
  server_.inject({Fault::Forbidden, "PATCH", "/bad/status", 1000});
  auto written = send({bad, statusOf(make<api::PodNetwork>("good"))});
  EXPECT_EQ(written[0].outcome, WriteOutcome::Refused);
  EXPECT_EQ(written[0].again, Duration(seconds(30)));
  EXPECT_EQ(written[0].origin.key.name, "bad");
  EXPECT_EQ(written[1].outcome, WriteOutcome::Done);
  EXPECT_FALSE(written[1].again);
  EXPECT_EQ(refused_, std::vector<std::string>{"bad"}) << "a person can help";
  clock_.advance(seconds(10));
  written = send({statusOf(make<api::PodNetwork>("late")), bad});
  EXPECT_EQ(written[0].outcome, WriteOutcome::Done);
  EXPECT_EQ(written[1].outcome, WriteOutcome::HeldBack) << "the same write gets the same answer";
  EXPECT_EQ(written[1].again, Duration(seconds(20)));
  EXPECT_EQ(requests("/bad/status"), 1);
  for (const int wait : {30, 60, 120, 240, 480, 600, 600}) {
    clock_.advance(seconds(wait));
    const auto again = send({bad})[0].again;
    EXPECT_EQ(again, Duration(seconds(std::min(wait * 2, 600))));
  }
  EXPECT_EQ(requests("/bad/status"), 8);
  EXPECT_EQ(refused_.size(), 8U);
}

TEST_F(WriterTest, WhatWasRefusedIsTriedAtOnceWhenTheObjectIsAnother) {
  auto metadata = make<api::PodNetwork>("bad");
  server_.inject({Fault::Forbidden, "PATCH", "/bad/status", 1});
  EXPECT_EQ(send({statusOf(metadata)})[0].outcome, WriteOutcome::Refused);
  const auto changed = client_->raw().patch(api::kPodNetworkKind, {"", "bad"},
                                            kube::PatchType::Merge, {{"spec", {{"mtu", 1400}}}},
                                            kube::Subresource::None, kube::Conflicts::Refuse);
  metadata.resourceVersion = nlohmann::json::parse(changed.value())["metadata"]["resourceVersion"];
  EXPECT_EQ(send({statusOf(metadata)})[0].outcome, WriteOutcome::Done);
}

TEST_F(WriterTest, WhatHealsByItselfIsTriedByItsOwnTime) {
  const auto blue = statusOf(make<api::PodNetwork>("blue"));
  const auto red = statusOf(make<api::PodNetwork>("red"));
  server_.inject({Fault::InternalError, "PATCH", "/blue/", 1000});
  for (const int wait : {1, 2, 4, 8, 16, 30, 30}) {
    const auto written = send({blue, red});
    EXPECT_EQ(written[0].outcome, WriteOutcome::Heals);
    EXPECT_EQ(written[0].again, Duration(seconds(wait)));
    if (wait == 1) {
      EXPECT_EQ(written[1].outcome, WriteOutcome::Done);
    }
    clock_.advance(seconds(wait));
  }
  EXPECT_TRUE(refused_.empty()) << "nobody can help";
}

TEST_F(WriterTest, AWriteOnAnOlderVersionLoses) {
  const auto metadata = make<api::PodNetwork>("blue");
  // Somebody else's change.
  ASSERT_TRUE(client_->raw().patch(api::kPodNetworkKind, {"", "blue"}, kube::PatchType::Merge,
                                   {{"status", {{"vni", 7001}}}}, kube::Subresource::Status,
                                   kube::Conflicts::Refuse));
  const auto written = send({statusOf(metadata, 7002)});
  EXPECT_EQ(written[0].outcome, WriteOutcome::Lost);
  EXPECT_EQ(written[0].again, Duration(seconds(1))) << "also where no event comes";
  auto other = metadata;
  other.uid = "of-another";
  EXPECT_EQ(send({deletionOf(api::kPodNetworkKind, other, "", {})})[0].outcome, WriteOutcome::Lost);
  EXPECT_NE(server_.store()
                .get(testing::ResourcePath::parse("/apis/multinet.dev/v1alpha1/podnetworks/blue"))
                .body["status"]["vni"],
            7002);
}

// A second create of a Service with a node port is refused for the first one's port, and somebody
// is told that his service can't be.
TEST_F(WriterTest, WhatWasDoneIsntDoneAgainBeforeTheCachesSawIt) {
  Write create;
  create.kind = api::kPodNetworkKind;
  create.key = {"", "blue"};
  create.verb = Verb::Create;
  create.body = {{"metadata", {{"name", "blue"}}}};
  EXPECT_EQ(send({create})[0].outcome, WriteOutcome::Done);
  clock_.advance(seconds(1));
  auto written = send({create});
  EXPECT_EQ(written[0].outcome, WriteOutcome::HeldBack);
  EXPECT_EQ(written[0].again, Duration(seconds(2)));
  EXPECT_EQ(requests("POST"), 1);
  clock_.advance(seconds(2));
  EXPECT_EQ(send({create})[0].outcome, WriteOutcome::Lost) << "by then it counts what is there";
  // The same of a change, which loses otherwise.
  const auto metadata = make<api::PodNetwork>("red");
  EXPECT_EQ(send({statusOf(metadata)})[0].outcome, WriteOutcome::Done);
  EXPECT_EQ(send({statusOf(metadata, 7002)})[0].outcome, WriteOutcome::HeldBack);
  auto seen = metadata;
  const auto there = client_->raw().get(api::kPodNetworkKind, {"", "red"});
  seen.resourceVersion =
      nlohmann::json::parse(there.value())["metadata"]["resourceVersion"].get<std::string>();
  EXPECT_EQ(send({statusOf(seen, 7002)})[0].outcome, WriteOutcome::Done) << "another version";
}

TEST_F(WriterTest, ANameIsReservedOnce) {
  const auto reservation = [](const std::string& network) {
    api::NetworkIdentifier identifier;
    identifier.metadata.name = "vxlan-7001";
    identifier.spec = {api::IdentifierKind::Vxlan, 7001, network, "uid-" + network};
    Write write;
    write.kind = api::kNetworkIdentifierKind;
    write.key = {"", "vxlan-7001"};
    write.verb = Verb::Create;
    write.body = k8s::KindTraits<api::NetworkIdentifier>::encode(identifier);
    return write;
  };
  server_.inject({Fault::LoseReply, "POST", "", 1});
  EXPECT_EQ(send({reservation("blue")})[0].outcome, WriteOutcome::Done)
      << "the one that is there is ours";
  EXPECT_EQ(send({reservation("red")})[0].outcome, WriteOutcome::Lost);
}

TEST_F(WriterTest, DeletionsAreConfirmedByOneLook) {
  std::vector<Write> writes;
  for (int i = 0; i < 20; ++i) {
    writes.push_back(deletionOf(api::kNetworkPeerKind,
                                make<api::NetworkPeer>("blue.n" + std::to_string(i)), "gone",
                                {networkIsGone("blue", "uid-blue")}));
  }
  for (const auto& written : send(writes)) EXPECT_EQ(written.outcome, WriteOutcome::Done);
  EXPECT_EQ(requests("GET /apis/multinet.dev/v1alpha1/podnetworks/blue"), 1);
  EXPECT_EQ(requests("DELETE "), 20);
}

TEST_F(WriterTest, WhatTheServerContradictsIsntWritten) {
  const auto blue = make<api::PodNetwork>("blue");
  const auto gone = deletionOf(api::kNetworkPeerKind, make<api::NetworkPeer>("blue.a"), "gone",
                               {networkIsGone("blue", blue.uid)});
  auto written = send({gone});
  EXPECT_EQ(written[0].outcome, WriteOutcome::Contradicted);
  EXPECT_EQ(written[0].again, Duration(seconds(1))) << "the caches may never learn of it";
  EXPECT_EQ(requests("DELETE "), 0);
  auto whole = deletionOf(api::kNetworkPeerKind, make<api::NetworkPeer>("blue.b"), "gone", {});
  whole.premises.push_back(
      {api::kPodNetworkKind, std::nullopt, [](const auto& there) {
         std::string_view name;
         return there.at_pointer("/metadata/name").get(name) == simdjson::SUCCESS && name == "blue";
       }});
  EXPECT_EQ(send({whole})[0].outcome, WriteOutcome::Contradicted);
  server_.inject({Fault::InternalError, "GET", "/podnetworks", 1000});
  clock_.advance(seconds(1));
  EXPECT_EQ(send({gone, whole})[0].outcome, WriteOutcome::Heals)
      << "what can't be asked isn't deleted";
  EXPECT_EQ(requests("DELETE "), 0);
}

TEST_F(WriterTest, APremiseOfANamespaceIsAskedOfThatOne) {
  const auto whole = [&](const std::string& nameSpace) {
    const auto peer = make<api::NetworkPeer>("blue." + nameSpace);
    return deletionOf(api::kNetworkPeerKind, peer, "gone",
                      {{api::kPodInterfaceSetKind, k8s::ObjectKey{nameSpace, ""},
                        [](const auto& /*there*/) { return true; }}});
  };
  ASSERT_TRUE(client_->raw().create(api::kPodInterfaceSetKind,
                                    {{"metadata", {{"name", "web-0"}, {"namespace", "yard"}}}},
                                    nullptr));
  EXPECT_EQ(send({whole("shop")})[0].outcome, WriteOutcome::Done) << "there is none";
  EXPECT_EQ(requests("GET /apis/multinet.dev/v1alpha1/namespaces/shop/podinterfacesets"), 1);
  EXPECT_EQ(send({whole("yard")})[0].outcome, WriteOutcome::Contradicted);
}

TEST_F(WriterTest, WhoDoesntLeadWritesNothing) {
  leading_ = false;
  const auto written = send({statusOf(make<api::PodNetwork>("blue"))});
  EXPECT_EQ(written[0].outcome, WriteOutcome::NotLeading);
  EXPECT_TRUE(written[0].again) << "whoever leads again asks again";
  EXPECT_EQ(requests("PATCH "), 0);
}

/// Each waits for the server by itself.
TEST_F(WriterTest, ASlowWriteHoldsUpNoOther) {
  std::vector<Write> writes;
  for (int i = 0; i < 30; ++i) {
    writes.push_back(statusOf(make<api::PodNetwork>("n" + std::to_string(i))));
  }
  server_.inject({Fault::TooManyRequests, "PATCH", "/n0/status", 1});
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& written : send(writes)) EXPECT_EQ(written.outcome, WriteOutcome::Done);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, seconds(1)) << "one waited for its Retry-After";
  std::size_t slow = 0;
  const auto all = server_.requests();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].find("/n0/status") != std::string::npos) slow = i;
  }
  EXPECT_EQ(slow, all.size() - 1) << "all others were done meanwhile";
}

TEST_F(WriterTest, WhatHangsForOneReconcilerLeavesLanesToTheOthers) {
  std::vector<PlannedWrite> planned;
  for (int i = 0; i < 20; ++i) {
    const auto write = statusOf(make<api::PodNetwork>("slow" + std::to_string(i)));
    planned.push_back({{0, write.key}, write});
  }
  server_.inject({Fault::TooManyRequests, "PATCH", "/slow", 20});
  EXPECT_TRUE(writer_.begin(planned).empty());
  const auto quick = statusOf(make<api::PodNetwork>("quick"));
  EXPECT_FALSE(writer_.tellNext(true));
  EXPECT_TRUE(writer_.begin({{{1, quick.key}, quick}}).empty());
  told_.wait();
  const auto first = writer_.ended();
  ASSERT_EQ(first.size(), 1U) << "the others wait for their Retry-After";
  EXPECT_EQ(first[0].origin.key.name, "quick");
  writer_.wait();
  EXPECT_EQ(writer_.ended().size(), 20U);
}

TEST_F(WriterTest, TellsOfWhatFailedAndOfWhatSomebodyWaitsFor) {
  const auto bad = statusOf(make<api::PodNetwork>("bad"));
  const auto good = statusOf(make<api::PodNetwork>("good"));
  EXPECT_EQ(send({good})[0].outcome, WriteOutcome::Done);
  EXPECT_EQ(tellings_, 0) << "nobody waits";
  server_.inject({Fault::Forbidden, "PATCH", "/bad/status", 1});
  EXPECT_EQ(send({bad})[0].outcome, WriteOutcome::Refused);
  EXPECT_EQ(tellings_, 1) << "it is to be asked again";
  const auto other = statusOf(make<api::PodNetwork>("other"));
  EXPECT_TRUE(writer_.begin({{{0, other.key}, other}}).empty());
  writer_.wait();
  EXPECT_TRUE(writer_.tellNext(true)) << "it has ended already";
  EXPECT_EQ(writer_.ended().size(), 1U);
  EXPECT_FALSE(writer_.tellNext(true));
}

}  // namespace
}  // namespace multinet::controller
