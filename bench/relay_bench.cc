// What the relay adds to a call: the program multinet-nodeagent between a caller and a runtime, and
// the same calls without it. The runtime is this program's own and answers at once, so that only
// gRPC, the sockets and the relay are measured. A line of JSON for each call of each round:
//
//   multinet-bench-relay build/release/bin/multinet-nodeagent --rounds 200
//   {"call":"version","way":"relay","ms":0.31}
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/in_turn.h"
#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/server.h"

namespace multinet::bench {
namespace {

using agent::cri::bufferOf;

/// One kind of call: what the runtime answers, and how often.
struct Kind {
  const char* name;
  const char* method;
  std::size_t bytes;  ///< of each message of the answer
  int messages;
};

// A container in a list is about 700 bytes on containerd.
constexpr std::array kKinds = {
    Kind{"version", "/runtime.v1.RuntimeService/Version", 64, 1},
    Kind{"list of 500 containers", "/runtime.v1.RuntimeService/ListContainers", 350'000, 1},
    Kind{"16 MiB", "/runtime.v1.RuntimeService/Status16", 16U << 20U, 1},
    Kind{"stream of 1000", "/runtime.v1.RuntimeService/StreamContainers", 256, 1000}};

/// Answers each method as its kind says.
class Runtime final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    for (const Kind& kind : kKinds) {
      if (context->method() == kind.method) return new Reactor(kind);
    }
    return CallbackGenericService::CreateReactor(context);
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(const Kind& kind) : left_(kind.messages), answer_(answerOf(kind)) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override { ok ? next() : Finish(grpc::Status::CANCELLED); }
    void OnWriteDone(bool ok) override { ok ? next() : Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    static grpc::ByteBuffer answerOf(const Kind& kind) {
      return bufferOf(std::string(kind.bytes, 'r'));
    }
    void next() {
      if (left_-- == 0) return Finish(grpc::Status::OK);
      sent_ = answer_;
      StartWrite(&sent_);
    }
    int left_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
    grpc::ByteBuffer sent_;
  };
};

/// Reads one answer to its end.
class Reader final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reader(grpc::GenericStub& stub, const char* method) : request_(bufferOf("")) {
    stub.PrepareBidiStreamingCall(&context_, method, {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&reply_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&reply_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }
  grpc::Status wait() { return done_.get_future().get(); }

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  std::promise<grpc::Status> done_;
};

/// The program under test; ends with this object.
class Agent {
 public:
  Agent(const std::string& program, const std::string& directory) {
    std::vector<std::string> words = {program,
                                      "--node-name=bench",
                                      "--safe-mode=on",
                                      "--log-level=error",
                                      "--listen=" + directory + "/agent",
                                      "--runtime-endpoint=unix:" + directory + "/runtime",
                                      "--state-dir=" + directory + "/state"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, program.c_str(), nullptr, nullptr, argv.data(), environ) != 0) pid_ = 0;
  }
  ~Agent() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

 private:
  pid_t pid_ = 0;
};

int measure(const std::string& program, int rounds, const std::string& directory) {
  Runtime runtime;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterCallbackGenericService(&runtime);
  builder.AddListeningPort("unix:" + directory + "/runtime", grpc::InsecureServerCredentials());
  const auto server = builder.BuildAndStart();
  const Agent agent(program, directory);
  const std::array<const char*, 2> ways = {"direct", "relay"};
  std::array stubs = {
      grpc::GenericStub(agent::cri::runtimeChannel("unix:" + directory + "/runtime")),
      grpc::GenericStub(agent::cri::runtimeChannel("unix:" + directory + "/agent"))};
  // Until the agent listens.
  for (int i = 0; i < 500 && !Reader(stubs[1], kKinds.front().method).wait().ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (const Kind& kind : kKinds) {
    const int times = kind.bytes > (1U << 20U) ? rounds / 10 + 1 : rounds;
    const auto done =
        inTurn(ways.size(), {.rounds = times, .limit = std::chrono::seconds(60), .warmUp = 5},
               [&](std::size_t way, std::optional<int> round) -> Status {
                 const auto begin = Steady::now();
                 const auto status = Reader(stubs.at(way), kind.method).wait();
                 const auto took = Steady::now() - begin;
                 if (!status.ok()) return fail(Code::Internal, "Failed", status.error_message());
                 if (round) {
                   std::cout << nlohmann::json{{"call", kind.name},
                                               {"way", ways.at(way)},
                                               {"ms", milliseconds(took)}}
                             << "\n";
                 }
                 return {};
               });
    if (!done) {
      std::cerr << kind.name << ": " << done.error().message << "\n";
      return 1;
    }
  }
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  return 0;
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("What the relay adds to a call");
  std::string program;
  int rounds = 200;
  app.add_option("agent", program, "multinet-nodeagent")->required()->check(CLI::ExistingFile);
  app.add_option("--rounds", rounds, "Calls of each kind and way")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::string directory = "/tmp/multinet-bench-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const int code = multinet::bench::measure(program, rounds, directory);
  std::filesystem::remove_all(directory);
  std::cout.flush();
  _exit(code);  // gRPC's own end may wait
}
