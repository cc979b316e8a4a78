#include "lib/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "lib/http/raw_client.h"
#include "lib/tls/certificate.h"

namespace multinet::http::testing {

namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Response echo(const Request& request) {
  if (request.path == "/throw") throw std::runtime_error("boom");
  return {200, "text/plain", request.method + " " + request.path + " " + request.body};
}

std::unique_ptr<Server> plainServer(const Limits& limits = {}) {
  auto server = Server::start({.listen = "127.0.0.1:0", .limits = limits}, echo);
  EXPECT_TRUE(server) << server.error().message;
  return std::move(*server);
}

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

TEST(ServerTest, AnswersSeveralRequestsOnOneConnection) {
  const auto server = plainServer();
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.send("POST /a?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_THAT(client.readAnswer(), EndsWith("POST /a hello"));
  }
  client.send(get("/1") + get("/2"));  // pipelined
  EXPECT_THAT(client.readAnswer(), EndsWith("GET /1 "));
  EXPECT_THAT(client.readAnswer(), EndsWith("GET /2 "));
  EXPECT_EQ(server->counts().accepted, 1U);
  EXPECT_EQ(server->counts().answered, 5U);
}

TEST(ServerTest, ClosesWhenAskedAndForHttp10) {
  const auto server = plainServer();
  for (const std::string request :
       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawClient client(server->port());
    client.send(request);
    EXPECT_THAT(client.readAll(), EndsWith("GET / ")) << "and the end of the connection";
  }
}

TEST(ServerTest, HeadHasNoBody) {
  const auto server = plainServer();
  RawClient client(server->port());
  client.send("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const auto answer = client.readAll();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 8"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(ServerTest, RefusesWhatIsMalformed) {
  const auto server = plainServer();
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& request :
       {std::string("hello\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost a\r\n\r\n"), post + "Content-Length: -1\r\n\r\n",
        post + "Content-Length: x\r\n\r\n", post + "Content-Length: 99999999999999999999\r\n\r\n",
        // The request that ends a cpprest listener's process.
        post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
        post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"}) {
    RawClient client(server->port());
    client.send(request);
    EXPECT_THAT(client.readAll(), StartsWith("HTTP/1.1 400")) << request;
  }
  RawClient after(server->port());
  after.send(get("/"));
  EXPECT_THAT(after.readAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST(ServerTest, RefusesWhatIsTooLarge) {
  const auto server = plainServer({.body = 1000, .header = 2048});
  RawClient declared(server->port());
  declared.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  declared.send(std::string(1001, 'a'));
  EXPECT_THAT(declared.readAll(), StartsWith("HTTP/1.1 413"));

  RawClient chunked(server->port());
  chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunked.send("800\r\n" + std::string(2048, 'a') + "\r\n0\r\n\r\n");
  EXPECT_THAT(chunked.readAll(), StartsWith("HTTP/1.1 413"));

  RawClient header(server->port());
  header.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(4096, 'a') + "\r\n\r\n");
  EXPECT_THAT(header.readAll(), StartsWith("HTTP/1.1 431"));

  RawClient fits(server->port());
  fits.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'a'));
  EXPECT_THAT(fits.readAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST(ServerTest, ABodyOfMegabytesThatIsRefusedStillGetsItsAnswer) {
  const auto server = plainServer();
  RawClient client(server->port());
  std::thread sender([&] {
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    client.send(std::string(5'000'000, 'a'));
  });
  EXPECT_THAT(client.readAll(), StartsWith("HTTP/1.1 413"));
  sender.join();
}

TEST(ServerTest, AHandlerThatThrowsIsAnswered500) {
  const auto server = plainServer();
  RawClient client(server->port());
  client.send(get("/throw"));
  const auto answer = client.readAnswer();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(answer, ::testing::Not(HasSubstr("boom"))) << "what failed is for the log";
}

TEST(ServerTest, CutsSlowClients) {
  const auto server = plainServer({.headerTime = 700ms, .bodyTime = 700ms, .idle = 700ms});
  RawClient silent(server->port());
  RawClient loris(server->port());
  RawClient body(server->port());
  RawClient idle(server->port());
  loris.send("GET / HTTP/1.1\r\nHost:");
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  idle.send(get("/"));
  EXPECT_THAT(idle.readAnswer(), StartsWith("HTTP/1.1 200"));
  // One more byte now and then must not lengthen its time.
  std::jthread drip([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && loris.send("x")) usleep(20'000);
  });
  EXPECT_TRUE(loris.closedWithin(3));
  EXPECT_TRUE(silent.closedWithin(3));
  EXPECT_TRUE(body.closedWithin(3));
  EXPECT_TRUE(idle.closedWithin(3));
  // The socket closes just before it is counted.
  for (int i = 0; i < 500 && server->counts().timedOut < 4; ++i) usleep(10'000);
  EXPECT_EQ(server->counts().timedOut, 4U);
}

TEST(ServerTest, ClosesWhatIsAboveTheCapWhereAllAreAnswered) {
  std::promise<void> entered;
  std::promise<void> go;
  const auto released = go.get_future().share();
  const auto server = Server::start({.listen = "127.0.0.1:0", .limits = {.connections = 1}},
                                    [&](const Request&) -> Response {
                                      entered.set_value();
                                      released.wait();
                                      return {200, "text/plain", "done"};
                                    })
                          .value();
  RawClient busy(server->port());
  busy.send(get("/"));
  entered.get_future().wait();
  RawClient other(server->port());
  EXPECT_TRUE(other.closedWithin(3));
  EXPECT_EQ(server->counts().refusedByCap, 1U);
  go.set_value();
  EXPECT_THAT(busy.readAnswer(), EndsWith("done"));
}

// Whoever keeps connections open, each with a request now and then, keeps nobody out.
TEST(ServerTest, TheIdlestOfTheSourceThatHasMostMakesRoom) {
  const auto server = plainServer({.connections = 8});
  RawClient modest(server->port(), "127.0.0.1");
  modest.send(get("/"));
  EXPECT_THAT(modest.readAnswer(), StartsWith("HTTP/1.1 200"));
  std::vector<RawClient> greedy;
  for (int i = 0; i < 20; ++i) {
    greedy.emplace_back(server->port(), "127.0.0.2");
    greedy.back().send(get("/"));
    EXPECT_THAT(greedy.back().readAnswer(), StartsWith("HTTP/1.1 200")) << i;
  }
  RawClient late(server->port(), "127.0.0.3");
  late.send(get("/"));
  EXPECT_THAT(late.readAnswer(), StartsWith("HTTP/1.1 200"));
  modest.send(get("/"));
  EXPECT_THAT(modest.readAnswer(), StartsWith("HTTP/1.1 200")) << "it is idler, but alone";
  EXPECT_TRUE(greedy.front().closedWithin(3));
  EXPECT_EQ(server->counts().refusedByCap, 0U);
  EXPECT_EQ(server->counts().evicted, 14U);
}

TEST(ServerTest, OneSourceHasItsOwnCap) {
  // One thread: who got an answer waits again before the next connection is looked at.
  const auto server =
      Server::start(
          {.listen = "127.0.0.1:0", .limits = {.connections = 100, .perSource = 2}, .threads = 1},
          echo)
          .value();
  RawClient other(server->port(), "127.0.0.1");
  std::vector<RawClient> greedy;
  for (int i = 0; i < 3; ++i) {
    greedy.emplace_back(server->port(), "127.0.0.2");
    greedy.back().send(get("/"));
    EXPECT_THAT(greedy.back().readAnswer(), StartsWith("HTTP/1.1 200")) << i;
  }
  EXPECT_TRUE(greedy.front().closedWithin(3));
  other.send(get("/"));
  EXPECT_THAT(other.readAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST(ServerTest, AnAnswerMayComeLaterAndFromAnotherThread) {
  std::promise<Reply> asked;
  const auto server =
      Server::startAsync({.listen = "127.0.0.1:0", .threads = 1}, [&](const Request& request,
                                                                      Reply reply) {
        if (request.path == "/later") {
          return asked.set_value(std::move(reply));
        }
        reply({200, "text/plain", "now"});
      }).value();
  RawClient waiting(server->port());
  waiting.send(get("/later"));
  Reply reply = asked.get_future().get();
  RawClient other(server->port());
  other.send(get("/"));
  EXPECT_THAT(other.readAnswer(), EndsWith("now")) << "nobody waits behind it";
  reply({200, "text/plain", "late"});
  reply({200, "text/plain", "twice"});
  reply = nullptr;
  EXPECT_THAT(waiting.readAnswer(), EndsWith("late"));
  waiting.send(get("/"));
  EXPECT_THAT(waiting.readAnswer(), EndsWith("now"));
}

TEST(ServerTest, DrainAnswersWhatIsUnderWayAndClosesTheRest) {
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  auto server = Server::start({.listen = "127.0.0.1:0"}, [&](const Request& request) -> Response {
    if (request.path == "/slow") {
      entered = true;
      while (!release) usleep(1000);
    }
    return {200, "text/plain", "done"};
  });
  ASSERT_TRUE(server);
  RawClient idle((*server)->port());
  idle.send(get("/"));
  EXPECT_THAT(idle.readAnswer(), EndsWith("done"));
  RawClient busy((*server)->port());
  busy.send(get("/slow"));
  while (!entered) usleep(1000);
  std::thread releaser([&] {
    EXPECT_TRUE(idle.closedWithin(3));
    release = true;
  });
  EXPECT_TRUE((*server)->drain(5s));
  releaser.join();
  const auto answer = busy.readAll();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(answer, EndsWith("done"));
}

TEST(ServerTest, DrainCutsWhatDoesNotEnd) {
  const auto server = plainServer();
  RawClient stuck(server->port());
  stuck.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  while (server->counts().open == 0) usleep(1000);
  usleep(20'000);  // so that it is past its header; either way it has to go
  static_cast<void>(server->drain(100ms));
  EXPECT_TRUE(stuck.closedWithin(3));
}

TEST(ServerTest, SaysWhatIsWrongWithAnAddress) {
  for (const char* listen : {"", "8443", "127.0.0.1", "::1:80", "127.0.0.1:99999", "a.b:80",
                             "[::1:80", "127.0.0.1:8x"}) {
    const auto server = Server::start({.listen = listen}, echo);
    ASSERT_FALSE(server) << listen;
    EXPECT_THAT(server.error().message, StartsWith("listen on \"" + std::string(listen) + "\""));
  }
  const auto first = plainServer();
  const auto taken = Server::start({.listen = "127.0.0.1:" + std::to_string(first->port())}, echo);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr("in use"));
}

TEST(ServerTest, ServesBothFamilies) {
  auto both = Server::start({.listen = ":0"}, echo);
  ASSERT_TRUE(both) << both.error().message;
  RawClient v4((*both)->port());
  v4.send(get("/"));
  EXPECT_THAT(v4.readAnswer(), StartsWith("HTTP/1.1 200"));
  const auto v6 = Server::start({.listen = "[::1]:0"}, echo);
  EXPECT_TRUE(v6) << v6.error().message;
}

class TlsServerTest : public ::testing::Test {
 protected:
  TlsServerTest() {
    std::string name = "/tmp/multinet-http-XXXXXX";
    directory_ = mkdtemp(name.data());
    put("first");
  }
  ~TlsServerTest() override { std::filesystem::remove_all(directory_); }

  void put(const std::string& name) {
    const auto pair = *tls::signLeaf(ca_, {.commonName = name, .dnsNames = {"w"}}, now_);
    for (const auto& [file, text] :
         {std::pair("tls.key", pair.keyPem), std::pair("tls.crt", pair.certificatePem)}) {
      std::ofstream(directory_ / "new") << text;
      std::filesystem::rename(directory_ / "new", directory_ / file);
    }
  }

  std::unique_ptr<Server> server(const Limits& limits = {}) {
    certificate_ = std::make_unique<tls::ReloadingCertificate>(tls::ReloadingCertificate::Options{
        .directory = directory_, .clientCaFile = clientCa_, .poll = 50ms});
    auto made = Server::start(
        {.listen = "127.0.0.1:0", .certificate = certificate_.get(), .limits = limits}, echo);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  WallTime now_ = SystemClock().wall();
  tls::KeyPair ca_ = *tls::makeCa({.commonName = "ca"}, now_);
  std::filesystem::path directory_;
  std::string clientCa_;  ///< a file
  std::unique_ptr<tls::ReloadingCertificate> certificate_;
};

TEST_F(TlsServerTest, AnswersAndSurvivesPlaintext) {
  const auto https = server();
  RawClient plain(https->port());
  plain.send(get("/"));
  EXPECT_TRUE(plain.closedWithin(3));
  RawClient client(https->port());
  ASSERT_TRUE(client.startTls());
  client.send(get("/a"));
  EXPECT_THAT(client.readAnswer(), EndsWith("GET /a "));
  EXPECT_EQ(client.peerName(), "first");
  EXPECT_EQ(https->counts().handshakeFailed, 1U);
}

TEST_F(TlsServerTest, AnswersOnlyClientsOfTheirCa) {
  clientCa_ = directory_ / "client-ca.crt";
  const auto clients = *tls::makeCa({.commonName = "clients"}, now_);
  std::ofstream(clientCa_) << clients.certificatePem;
  const auto https = server();
  const auto answer = [&](const tls::KeyPair& own) -> std::string {
    RawClient client(https->port());
    if (!client.startTls(own)) return {};
    client.send(get("/a"));
    return client.readAnswer();
  };
  const auto leaf = [&](const tls::KeyPair& ca, const char* usage) {
    return *tls::signLeaf(ca, {.commonName = "api", .dnsNames = {"api"}, .usage = usage}, now_);
  };
  EXPECT_THAT(answer(leaf(clients, "clientAuth")), EndsWith("GET /a "));
  EXPECT_EQ(answer({}), "") << "shows none";
  EXPECT_EQ(answer(leaf(ca_, "clientAuth")), "") << "of the CA of servers";
  EXPECT_EQ(answer(leaf(clients, "serverAuth")), "") << "a server's certificate";
  for (int i = 0; i < 500 && https->counts().handshakeFailed < 3; ++i) usleep(10'000);
  EXPECT_EQ(https->counts().handshakeFailed, 3U);
}

TEST_F(TlsServerTest, WithoutTheCaOfItsClientsItServesNobodyAndFollowsIt) {
  clientCa_ = directory_ / "client-ca.crt";
  std::ofstream(clientCa_) << "";
  const auto https = server();
  RawClient early(https->port());
  EXPECT_FALSE(early.startTls()) << "empty isn't: everybody";
  EXPECT_EQ(certificate_->lastResult().error().reason, "NoClientCA");
  const auto clients = *tls::makeCa({.commonName = "clients"}, now_);
  const auto own = *tls::signLeaf(
      clients, {.commonName = "api", .dnsNames = {"api"}, .usage = "clientAuth"}, now_);
  std::ofstream(clientCa_) << clients.certificatePem;
  std::string answer;
  for (int i = 0; i < 500 && answer.empty(); ++i) {
    RawClient client(https->port());
    if (client.startTls(own) && client.send(get("/a"))) answer = client.readAnswer();
    usleep(10'000);
  }
  EXPECT_THAT(answer, EndsWith("GET /a "));
}

TEST_F(TlsServerTest, AThousandHalfOpenConnectionsHoldNobodyUp) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &files);
  const auto https = server({.connections = 1100, .handshake = 2s});
  std::vector<RawClient> halfOpen;
  for (int i = 0; i < 1000; ++i) halfOpen.emplace_back(https->port());
  RawClient client(https->port());
  ASSERT_TRUE(client.startTls());
  client.send(get("/a"));
  EXPECT_THAT(client.readAnswer(), EndsWith("GET /a "));
  for (int i = 0; i < 500 && https->counts().open > 1; ++i) usleep(10'000);
  EXPECT_LE(https->counts().open, 1U) << "the handshake's limit ended them";
}

TEST_F(TlsServerTest, CertificateIsSwappedUnderLoad) {
  const auto https = server();
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::atomic<int> failed{0};
  std::vector<std::jthread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&] {
      while (!stop) {
        RawClient client(https->port());
        const bool fine = client.startTls() && client.send(get("/")) &&
                          client.readAnswer().starts_with("HTTP/1.1 200");
        ++(fine ? served : failed);
      }
    });
  }
  RawClient old(https->port());
  ASSERT_TRUE(old.startTls());
  put("second");
  std::string shown;
  for (int i = 0; i < 500 && shown != "second"; ++i) {
    RawClient client(https->port());
    if (client.startTls()) shown = client.peerName();
    usleep(10'000);
  }
  EXPECT_EQ(shown, "second");
  old.send(get("/old"));
  EXPECT_THAT(old.readAnswer(), EndsWith("GET /old ")) << "a connection outlives its certificate";
  for (int i = 0; i < 1000 && served <= 10; ++i) usleep(10'000);
  stop = true;
  load.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(served, 10);
}

TEST_F(TlsServerTest, WithoutACertificateConnectionsCloseAndNothingElse) {
  std::filesystem::remove(directory_ / "tls.key");
  const auto https = server();
  RawClient early(https->port());
  EXPECT_FALSE(early.startTls());
  put("late");
  bool served = false;
  for (int i = 0; i < 500 && !served; ++i) {
    RawClient client(https->port());
    served = client.startTls();
    usleep(10'000);
  }
  EXPECT_TRUE(served);
}

}  // namespace
}  // namespace multinet::http::testing
