// The client against a server that misbehaves, over the real transport.
#include "lib/kube/client.h"

#include <fstream>
#include <thread>

#include "lib/kube/discovery.h"
#include "lib/kube/fake_kind.h"
#include "lib/kube/kept_connections.h"
#include "lib/tls/certificate.h"
#include "test/support/apiserver.h"

namespace multinet::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ApiServer;
using testing::Fault;

Config plain(const ApiServer& server) {
  Config config;
  config.server = server.url();
  config.token.inlined = "secret";
  return config;
}

ClientOptions quick() {
  ClientOptions options;
  options.deadline = milliseconds(500);
  return options;
}

FakeNote note(const std::string& name, const std::string& text) {
  return {"default", name, "", "", text};
}

HttpRequest posting(const std::string& name) {
  return {Method::Post, "/apis/test.dev/v1/namespaces/default/notes", "",
          R"({"metadata":{"namespace":"default","name":")" + name + R"("}})"};
}

class ClientTest : public ::testing::Test {
 protected:
  ApiServer server_;
  std::unique_ptr<Client> client_ = connect(plain(server_), quick()).value();
};

TEST_F(ClientTest, CreatesReadsChangesAndDeletes) {
  const auto made = client_->create(note("a", "one"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(server_.lastAuthorization(), "Bearer secret");
  EXPECT_FALSE(made->uid.empty());
  auto changed = *made;
  changed.text = "two";
  ASSERT_TRUE(client_->update(changed));
  const auto conflict = client_->update(changed);
  ASSERT_FALSE(conflict.has_value());
  EXPECT_EQ(conflict.error().code, Code::Aborted);
  EXPECT_EQ(conflict.error().reason, "Conflict");
  EXPECT_EQ(client_->patch<FakeNote>({"default", "a"}, {{"spec", {{"text", "three"}}}})->text,
            "three");
  EXPECT_EQ(client_->remove<FakeNote>({"default", "a"}, {"another-uid", ""}).error().code,
            Code::Aborted);
  ASSERT_TRUE(client_->remove<FakeNote>({"default", "a"}, {made->uid, ""}));
  const auto gone = client_->get<FakeNote>({"default", "a"});
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, Code::NotFound);
  EXPECT_THAT(gone.error().message, ::testing::HasSubstr("get notes default/a: "));
}

TEST_F(ClientTest, AppliesAnObjectThatIsThereOrNot) {
  const Json object{{"metadata", {{"namespace", "default"}, {"name", "a"}}},
                    {"spec", {{"text", "applied"}}}};
  EXPECT_EQ(client_->apply<FakeNote>(object)->text, "applied");
  EXPECT_EQ(client_->apply<FakeNote>(object)->text, "applied");
  EXPECT_THAT(server_.requests().back(), ::testing::HasSubstr("fieldManager=multinet&force=true"));
}

TEST_F(ClientTest, ReadsAllPagesOfAList) {
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(client_->create(note("n" + std::to_string(i), "x")));
  std::vector<std::string> names;
  const auto revision = listAll(client_->raw(), kindOf<FakeNote>(), {}, {3, ""},
                                [&](const simdjson::dom::element& item) -> Status {
                                  names.push_back(KindTraits<FakeNote>::decode(item)->name);
                                  return {};
                                });
  ASSERT_TRUE(revision);
  EXPECT_EQ(names.size(), 7U);
  EXPECT_EQ(client_->list<FakeNote>()->size(), 7U);
  EXPECT_EQ(client_->list<FakeNote>({"other", "", ""})->size(), 0U);
  EXPECT_EQ(client_->list<FakeNote>({"", "", "metadata.name=n3"})->size(), 1U);
}

TEST_F(ClientTest, RefusesANamespaceWhereItIsMissing) {
  const auto refused = client_->create(FakeNote{"", "a", "", "", ""});
  EXPECT_EQ(refused.error().reason, "BadNamespace");
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ClientTest, WaitsAsLongAsTheServerAsksAndTriesOnceMore) {
  server_.inject({Fault::TooManyRequests, "GET", "/notes"});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(client_->list<FakeNote>());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, seconds(1));
  server_.inject({Fault::TooManyRequests, "GET", "/notes", 2});
  EXPECT_EQ(client_->list<FakeNote>().error().code, Code::ResourceExhausted);
}

TEST_F(ClientTest, TriesAServersFailureOnceMoreAndNoOftener) {
  server_.inject({Fault::InternalError, "", "", 1});
  EXPECT_TRUE(client_->create(note("a", "x")));
  server_.inject({Fault::InternalError, "", "", 100});
  const auto before = server_.requests().size();
  const auto failed = client_->create(note("b", "x"));
  EXPECT_EQ(failed.error().code, Code::Unavailable);
  EXPECT_EQ(failed.error().reason, "InternalError");
  EXPECT_EQ(server_.requests().size(), before + 2);
}

TEST_F(ClientTest, FindsItsObjectBehindALostReply) {
  const auto ours = [](const FakeNote& found) { return found.text == "mine"; };
  server_.inject({Fault::LoseReply, "POST", "/notes"});
  const auto made = client_->create<FakeNote>(note("a", "mine"), ours);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->text, "mine");
}

TEST_F(ClientTest, DoesNotTakeAForeignObjectForItsOwn) {
  ASSERT_TRUE(client_->create(note("a", "foreign")));
  server_.inject({Fault::LoseReply, "POST", "/notes"});
  const auto refused = client_->create<FakeNote>(
      note("a", "mine"), [](const FakeNote& found) { return found.text == "mine"; });
  EXPECT_EQ(refused.error().code, Code::AlreadyExists);
}

TEST_F(ClientTest, WritesGoOneByOneOverOneConnection) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(client_->create(note(name, "x")));
  ASSERT_TRUE(client_->remove<FakeNote>({"default", "b"}));
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(ClientTest, SendsAWriteOnceOverAUsedConnectionToo) {
  const auto transport = makeTransport(plain(server_)).value();
  ASSERT_EQ(transport->call(posting("a"), seconds(2))->status, 201);
  server_.inject({Fault::LoseReply, "POST", "/notes"});
  const auto lost = transport->call(posting("b"), seconds(2));
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::Unavailable);
  EXPECT_EQ(server_.requests().size(), 2U);
  EXPECT_EQ(transport->call(posting("b"), seconds(2))->status, 409)
      << "the lost one was carried out";
}

TEST_F(ClientTest, WritesOverNoConnectionThatTheServerHasEnded) {
  ASSERT_TRUE(client_->create(note("a", "x")));
  server_.set(ApiServer::Presence::Away);
  server_.set(ApiServer::Presence::Here);
  ASSERT_TRUE(client_->create(note("b", "x")));
  EXPECT_EQ(server_.requests().size(), 2U) << "nothing was sent twice";
}

TEST_F(ClientTest, AWriteThatStallsCostsItsOwnDeadlineOnly) {
  const auto transport = makeTransport(plain(server_)).value();
  ASSERT_EQ(transport->call(posting("a"), seconds(2))->status, 201);
  server_.inject({Fault::Stall, "POST", "/notes"});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(transport->call(posting("b"), milliseconds(300)).error().code, Code::DeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  EXPECT_EQ(transport->call(posting("c"), seconds(2))->status, 201);
}

TEST_F(ClientTest, WritesToAServerThatHasAName) {
  Config config = plain(server_);
  const std::string address = "127.0.0.1";
  config.server.replace(config.server.find(address), address.size(), "localhost");
  ASSERT_TRUE(connect(config, quick()).value()->create(note("a", "x")));
  config.server = "http://nowhere.invalid:1";
  const auto lost = connect(config, quick()).value()->create(note("a", "x"));
  ASSERT_FALSE(lost.has_value());
  EXPECT_THAT(lost.error().message, ::testing::HasSubstr("nowhere.invalid"));
}

TEST_F(ClientTest, CountsADeletionWhoseReplyWasLostAsDone) {
  ASSERT_TRUE(client_->create(note("a", "x")));
  server_.inject({Fault::LoseReply, "DELETE", "/notes"});
  EXPECT_TRUE(client_->remove<FakeNote>({"default", "a"}));
  EXPECT_EQ(client_->remove<FakeNote>({"default", "a"}).error().code, Code::NotFound);
}

TEST_F(ClientTest, GivesUpOnAStalledServerInTime) {
  server_.inject({Fault::Stall, "", "", 2});
  const auto begin = std::chrono::steady_clock::now();
  const auto late = client_->get<FakeNote>({"default", "a"});
  EXPECT_EQ(late.error().code, Code::DeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(3));
  EXPECT_EQ(client_->get<FakeNote>({"default", "a"}).error().code, Code::NotFound)
      << "one stalled connection holds nobody else up";
}

TEST_F(ClientTest, TakesACutAnswerForNone) {
  ASSERT_TRUE(client_->create(note("a", "x")));
  server_.inject({Fault::Cut, "GET", "/notes"});
  EXPECT_TRUE(client_->list<FakeNote>()) << "the second try answers";
  server_.inject({Fault::Cut, "GET", "/notes", 100});
  EXPECT_EQ(client_->list<FakeNote>().error().code, Code::Unavailable);
}

TEST_F(ClientTest, SaysThatNobodyAnswers) {
  server_.set(ApiServer::Presence::Away);
  const auto away = client_->get<FakeNote>({"default", "a"});
  EXPECT_EQ(away.error().code, Code::Unavailable);
  server_.set(ApiServer::Presence::Here);
  EXPECT_EQ(client_->get<FakeNote>({"default", "a"}).error().code, Code::NotFound);
}

TEST_F(ClientTest, TellsTheObserverOfEachTry) {
  std::vector<std::string> seen;
  auto options = quick();
  options.observer = [&](const CallRecord& record) {
    seen.push_back(std::string(record.verb) + " " + std::string(record.resource) + " " +
                   std::to_string(record.code));
  };
  const auto client = connect(plain(server_), options).value();
  server_.inject({Fault::InternalError, "GET", "", 1});
  static_cast<void>(client->get<FakeNote>({"default", "a"}));
  EXPECT_THAT(seen, ::testing::ElementsAre("get notes 500", "get notes 404"));
}

TEST_F(ClientTest, EndsAStreamWhenAskedAndWhenItFallsSilent) {
  const HttpRequest watch{Method::Get, "/apis/test.dev/v1/notes?watch=1", "", ""};
  server_.inject({Fault::Stall, "GET", "watch=1", 2});
  auto& transport = client_->raw().transport();
  const auto none = [](std::string_view) -> Status { return {}; };
  EXPECT_EQ(transport.stream(watch, [] { return milliseconds(50); }, none, {}).error().code,
            Code::DeadlineExceeded);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(transport.stream(
                         watch, [] { return seconds(30); }, none, stop.get_token())
                .error()
                .code,
            Code::Cancelled);
}

TEST_F(ClientTest, HoldsTheServerBackWhileTheReaderIsSlow) {
  // More than all buffers between both ends hold; the reader must get it whole all the same.
  const std::string large(1U << 20U, 'x');
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(
        server_.store()
            .create(testing::ResourcePath::parse("/apis/test.dev/v1/namespaces/default/notes"),
                    {{"metadata", {{"name", "n" + std::to_string(i)}}}, {"text", large}})
            .status,
        201);
  }
  std::size_t bytes = 0;
  const HttpRequest watch{Method::Get,
                          "/apis/test.dev/v1/notes?watch=1&sendInitialEvents=true&timeoutSeconds=1",
                          "", ""};
  const auto ended = client_->raw().transport().stream(
      watch, [] { return seconds(5); },
      [&](std::string_view chunk) -> Status {
        bytes += chunk.size();
        std::this_thread::yield();
        return {};
      },
      {});
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_GT(bytes, 16U << 20U);
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    const SystemClock clock;
    ca_ = tls::makeCa({"test CA"}, clock.wall()).value();
    other_ = tls::makeCa({"another CA"}, clock.wall()).value();
    const auto leaf =
        tls::signLeaf(ca_, {"api", {"localhost"}, {"127.0.0.1"}}, clock.wall()).value();
    server_ = std::make_unique<ApiServer>(
        testing::ApiServerOptions{leaf.certificatePem, leaf.keyPem, milliseconds(100)});
  }
  [[nodiscard]] Config trusting(const std::string& authority) const {
    Config config;
    config.server = server_->url();
    config.certificateAuthority.inlined = authority;
    return config;
  }
  [[nodiscard]] Result<FakeNote> get(const std::string& authority) const {
    return connect(trusting(authority), patient()).value()->get<FakeNote>({"default", "a"});
  }
  [[nodiscard]] Result<FakeNote> create(const std::string& authority) const {
    return connect(trusting(authority), patient()).value()->create(note("a", "x"));
  }
  /// Handshakes take what the machine gives them.
  static ClientOptions patient() {
    ClientOptions options = quick();
    options.deadline = std::chrono::seconds(20);
    return options;
  }

  tls::KeyPair ca_;
  tls::KeyPair other_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(TlsTest, TrustsTheKubeconfigsAuthority) {
  EXPECT_EQ(get(ca_.certificatePem).error().code, Code::NotFound);
  EXPECT_TRUE(create(ca_.certificatePem));
}

TEST_F(TlsTest, AWriteShowsTheIdentityThatIsRightNow) {
  KeptConnections connections(trusting(ca_.certificatePem));
  Config renewed = trusting(ca_.certificatePem);
  renewed.clientCertificate.inlined = other_.certificatePem;
  renewed.clientKey.inlined = other_.keyPem;
  const HttpRequest remove{Method::Delete, "/apis/test.dev/v1/namespaces/default/notes/a", "", ""};
  for (const Config& config : {trusting(ca_.certificatePem), renewed, renewed}) {
    const auto gone = connections.call(remove, Credentials::read(config).value(), seconds(5));
    ASSERT_TRUE(gone) << gone.error().message;
    EXPECT_EQ(gone->status, 404);
  }
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TlsTest, TrustsNoOtherAuthority) {
  EXPECT_EQ(get(other_.certificatePem).error().code, Code::Unavailable);
  EXPECT_EQ(create(other_.certificatePem).error().code, Code::Unavailable);
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(TlsTest, ChecksTheServersName) {
  const SystemClock clock;
  const auto leaf = tls::signLeaf(ca_, {"api", {"elsewhere"}, {}}, clock.wall()).value();
  server_ = std::make_unique<ApiServer>(
      testing::ApiServerOptions{leaf.certificatePem, leaf.keyPem, milliseconds(100)});
  EXPECT_EQ(get(ca_.certificatePem).error().code, Code::Unavailable);
  EXPECT_EQ(create(ca_.certificatePem).error().code, Code::Unavailable);
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(TlsTest, AsksForAndChecksTheNameThatTheServerIsSaidToHave) {
  const SystemClock clock;
  const auto leaf = tls::signLeaf(ca_, {"api", {"inside"}, {"10.0.0.7"}}, clock.wall()).value();
  server_ = std::make_unique<ApiServer>(
      testing::ApiServerOptions{leaf.certificatePem, leaf.keyPem, milliseconds(100)});
  Config config = trusting(ca_.certificatePem);
  const auto read = [&] {
    return connect(config, patient()).value()->get<FakeNote>({"default", "a"}).error().code;
  };
  const auto write = [&] {
    return connect(config, patient()).value()->remove<FakeNote>({"default", "a"}).error().code;
  };
  for (const char* right : {"inside", "10.0.0.7"}) {
    config.serverName = right;
    EXPECT_EQ(read(), Code::NotFound) << right;
    EXPECT_EQ(write(), Code::NotFound) << right;
  }
  config.serverName = "inside";
  EXPECT_EQ(write(), Code::NotFound);
  EXPECT_EQ(server_->lastServerName(), "inside");
  EXPECT_EQ(read(), Code::NotFound);
  EXPECT_EQ(server_->lastServerName(), "inside");
  const auto answered = server_->requests().size();
  for (const char* wrong : {"127.0.0.1", "elsewhere", "10.0.0.8"}) {
    config.serverName = wrong;
    EXPECT_EQ(read(), Code::Unavailable) << wrong;
    EXPECT_EQ(write(), Code::Unavailable) << wrong;
  }
  config.serverName = "inside";
  config.certificateAuthority.inlined = other_.certificatePem;
  EXPECT_EQ(read(), Code::Unavailable) << "a right name, and another's signature";
  EXPECT_EQ(write(), Code::Unavailable);
  EXPECT_EQ(server_->requests().size(), answered);
}

TEST_F(TlsTest, RefusesACertificateAndAKeyThatDontFit) {
  Config config;
  config.server = server_->url();
  config.certificateAuthority.inlined = ca_.certificatePem;
  config.clientCertificate.inlined = ca_.certificatePem;
  config.clientKey.inlined = other_.keyPem;
  const auto refused = connect(config);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "BadCredentials");
}

TEST(Discovery, RefusesAServerThatIsTooOldAndNoOther) {
  ApiServer server;
  const auto client = connect(plain(server), quick()).value();
  EXPECT_TRUE(requireServer(*client, {1, 31}, "serves it"));
  const Status old = requireServer(*client, {1, 99}, "has selectable fields");
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().reason, kServerTooOld);
  EXPECT_EQ(old.error().message,
            "use API server: its version is 1.37; 1.99 is the oldest that has selectable fields");
  server.set(ApiServer::Presence::Away);
  const Status away = requireServer(*client, {1, 99}, "");
  ASSERT_FALSE(away);
  EXPECT_NE(away.error().reason, kServerTooOld) << "unknown isn't old";
}

}  // namespace
}  // namespace multinet::kube
