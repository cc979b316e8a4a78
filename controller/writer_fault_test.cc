// What a pass writes, on a server that refuses some of it.
#include "controller/writer.h"

#include <gtest/gtest.h>

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
  /// Makes an object on the server; its metadata as a pass sees it.
  template <class T>
  Meta make(const std::string& name, nlohmann::json spec = nlohmann::json::object()) {
    const auto made = client_->raw().create(
        kube::kindOf<T>(), {{"metadata", {{"name", name}}}, {"spec", spec}}, nullptr);
    const auto body = nlohmann::json::parse(made.value());
    Meta meta;
    meta.name = name;
    meta.uid = body["metadata"]["uid"];
    meta.resourceVersion = body["metadata"]["resourceVersion"];
    return meta;
  }
  NetworkWrite statusOf(const Meta& meta) {
    NetworkWrite write;
    write.meta = meta;
    write.status.vni = 7001;
    return write;
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
  Writer writer_{*client_, clock_, [] { return true; }};
};

TEST_F(WriterTest, WhatTheServerRefusesHoldsUpNothingElseAndIsTriedSeldom) {
  Writes writes;
  writes.networks = {statusOf(make<SeenNetwork>("bad")), statusOf(make<SeenNetwork>("good"))};
  server_.inject({Fault::Forbidden, "PATCH", "/bad/status", 1000});
  EXPECT_TRUE(writer_.carryOut(writes)) << "the pass isn't backed off for it";
  EXPECT_EQ(writer_.written(), 1U);
  EXPECT_EQ(writer_.again(), Duration(seconds(30)));
  writes.networks = {statusOf(make<SeenNetwork>("late")), writes.networks[0]};
  EXPECT_TRUE(writer_.carryOut(writes));
  EXPECT_EQ(writer_.written(), 2U);
  EXPECT_EQ(requests("/bad/status"), 1) << "the same write gets the same answer";
  clock_.advance(seconds(30));
  writes.networks = {writes.networks[1]};
  EXPECT_TRUE(writer_.carryOut(writes));
  EXPECT_EQ(requests("/bad/status"), 2);
  EXPECT_EQ(writer_.again(), Duration(seconds(60)));
  clock_.advance(seconds(60));
  EXPECT_EQ(writer_.again(), std::nullopt) << "it is due, and the pass that sees it runs";
  EXPECT_TRUE(writer_.carryOut({}));
  clock_.advance(seconds(600));
  EXPECT_EQ(writer_.again(), std::nullopt) << "nobody wants it any more";
}

TEST_F(WriterTest, AServerThatIsAwayIsAFailureOfThePass) {
  Writes writes;
  writes.networks = {statusOf(make<SeenNetwork>("blue"))};
  server_.inject({Fault::InternalError, "PATCH", "", 1000});
  EXPECT_FALSE(writer_.carryOut(writes));
  EXPECT_EQ(writer_.again(), std::nullopt);
}

TEST_F(WriterTest, DeletionsOfOnePassAreConfirmedByOneList) {
  make<SeenNetwork>("other");
  Writes writes;
  for (int i = 0; i < 20; ++i) {
    Deletion deletion;
    deletion.meta = make<SeenPeer>("blue.n" + std::to_string(i));
    deletion.goneNetworkUid = "uid-blue";
    writes.removePeers.push_back(deletion);
  }
  EXPECT_TRUE(writer_.carryOut(writes));
  EXPECT_EQ(writer_.written(), 20U);
  EXPECT_EQ(requests("GET /apis/multinet.dev/v1alpha1/podnetworks?"), 1);
}

}  // namespace
}  // namespace multinet::controller
