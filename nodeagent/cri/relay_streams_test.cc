// Streams of several messages, callers that leave or speak something else, many calls at once.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "lib/http2/frame.h"
#include "lib/http2/hpack.h"
#include "nodeagent/cri/grpc_wire.h"
#include "nodeagent/cri/relay_fixture.h"

namespace multinet::agent::cri {
namespace {

/// Says one thing and reads the answers to their end.
class Listening final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Listening(grpc::GenericStub& stub, const std::string& method, const std::string& request)
      : request_(bufferOf(request)) {
    stub.PrepareBidiStreamingCall(&context, method, {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&reply_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++messages;
    StartRead(&reply_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }
  grpc::Status wait() { return done_.get_future().get(); }

  grpc::ClientContext context;
  std::atomic<int> messages = 0;

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  std::promise<grpc::Status> done_;
};

/// A socket of its own to the relay, without gRPC.
Fd connectTo(const std::string& path) {
  Fd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(::connect(connection.get(), generic, sizeof(address)), 0);
  return connection;
}

TEST_F(RelayTest, PassesAStreamOfManyMessages) {
  runtime.copies = 2000;
  for (const auto* method : {"StreamContainers", "GetContainerEvents"}) {
    Listening stream(*stub, cri(method), std::string(3000, 'm'));
    EXPECT_TRUE(stream.wait().ok()) << method;
    EXPECT_EQ(stream.messages, 2000) << method;
  }
}

TEST_F(RelayTest, CancelsTheRuntimesCallWhereACallerLeaves) {
  runtime.hangs = true;
  Listening stream(*stub, cri("StreamContainers"), "m");
  for (int i = 0; i < 500 && runtime.calls == 0; ++i) std::this_thread::sleep_for(10ms);
  stream.context.TryCancel();
  EXPECT_EQ(stream.wait().error_code(), grpc::StatusCode::CANCELLED);
  for (int i = 0; i < 500 && runtime.cancels == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(runtime.cancels, 1);
}

TEST_F(RelayTest, CancelsWhatACallerLeavesBehindThatDies) {
  runtime.hangs = true;
  // A request of 40 bytes of headers, written by hand.
  std::string bytes(http2::kPreface);
  http2::appendFrameHeader(bytes, {0, http2::FrameType::Settings, 0, 0});
  const auto block = http2::encodeHeaders({{":method", "POST"},
                                           {":scheme", "http"},
                                           {":path", cri("StreamContainers")},
                                           {":authority", "localhost"},
                                           {"te", "trailers"},
                                           {"content-type", "application/grpc"}});
  http2::appendHeaders(bytes, 1, block, false, http2::kDefaultFrameBytes);
  const auto message = framed("m");
  http2::appendFrameHeader(
      bytes, {static_cast<std::uint32_t>(message.size()), http2::FrameType::Data, 0, 1});
  bytes += message;
  {
    const Fd caller = connectTo(path("agent"));
    ASSERT_EQ(send(caller.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    for (int i = 0; i < 500 && runtime.calls == 0; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(runtime.calls, 1);
  }
  for (int i = 0; i < 500 && runtime.cancels == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(runtime.cancels, 1);
}

TEST_F(RelayTest, HangsUpOnACallerThatSpeaksSomethingElseAndServesOthers) {
  const Fd caller = connectTo(path("agent"));
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_EQ(send(caller.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::array<char, 4096> answer{};
  ssize_t size = 0;
  while ((size = recv(caller.get(), answer.data(), answer.size(), 0)) > 0) continue;
  EXPECT_LE(size, 0) << "it was hung up on";
  EXPECT_TRUE(call(cri("Version"), "v").status.ok());
}

TEST_F(RelayTest, ServesManyCallersAtOnce) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 60; ++i) {
        const std::string sent(
            static_cast<std::size_t>(1 + (caller * 7919 + i * 104'729) % 300'000),
            static_cast<char>('a' + caller));
        const auto* method = i % 2 == 0 ? "ListContainers" : "CreateContainer";
        const auto reply = call(cri(method), i % 2 == 0 ? sent : "");
        if (!reply.status.ok() || (i % 2 == 0 && reply.bytes != sent)) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(RelayTest, EndsItsOwnStreamsAndWaitsForCallsWhenItStops) {
  runtime.hangs = true;
  Listening events(*stub, cri("GetContainerEvents"), "m");
  for (int i = 0; i < 500 && runtime.calls == 0; ++i) std::this_thread::sleep_for(10ms);
  const auto begin = std::chrono::steady_clock::now();
  server->awaitQuiet(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "an endless one isn't waited for";
  listener->stop();
  server->stop(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(events.wait().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace multinet::agent::cri
