#include "nodeagent/cri/runtime_client.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "nodeagent/cri/extension.h"
#include "nodeagent/cri/runtime_channel.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;

PodRef podOf(const subset::PodSandboxMetadata& metadata) {
  return {PodUid(metadata.uid()), metadata.namespace_(), metadata.name(), metadata.attempt()};
}

struct NamedNetns {
  std::string path;
  std::optional<pid_t> process;  ///< the sandbox's first one
};

/// containerd's and CRI-O's verbose info holds the runtime spec as JSON inside JSON text.
Result<NamedNetns> netnsOf(const subset::PodSandboxStatusResponse& reply) {
  const auto info = reply.info().find("info");
  if (info != reply.info().end()) {
    const auto json = nlohmann::json::parse(info->second, nullptr, false);
    const auto path = "/runtimeSpec/linux/namespaces"_json_pointer;
    if (!json.is_discarded() && json.contains(path) && json.at(path).is_array()) {
      NamedNetns named;
      const auto process = json.value("pid", nlohmann::json());
      if (process.is_number_integer() && process > 0) named.process = process.get<pid_t>();
      for (const auto& entry : json.at(path)) {
        if (!entry.is_object() || entry.value("type", nlohmann::json()) != "network") continue;
        const auto found = entry.find("path");
        if (found == entry.end() || !found->is_string()) continue;
        named.path = found->get<std::string>();
        return named;
      }
    }
  }
  return fail(Code::NotFound, "NoNetns", "find network namespace: the runtime names none");
}

class Client final : public sandbox::Runtime {
 public:
  Client(RuntimeChannel& channel, async::Lane& files, std::string stateDir)
      : channel_(channel), files_(files), stateDir_(std::move(stateDir)) {}

  void runPodSandbox(const sandbox::RunRequest& request,
                     const std::vector<InterfacePlan>& interfaces,
                     async::Answer<sandbox::RunReply> done) override {
    call(
        "RunPodSandbox", request.bytes + runRequestSuffix(interfaces), request.deadline,
        request.metadata,
        [done = std::move(done)](Result<std::string> bytes) {
          if (!bytes) {
            // Without a reason of ours: the kubelet and people get the runtime's own words.
            bytes.error().reason.clear();
            return done(fail(std::move(bytes).error()));
          }
          subset::RunPodSandboxResponse reply;
          if (!reply.ParseFromString(*bytes) || reply.pod_sandbox_id().empty()) {
            return done(fail(Code::Internal, "Malformed",
                             "run pod sandbox: the runtime's reply names no sandbox"));
          }
          done(sandbox::RunReply{SandboxId(reply.pod_sandbox_id()), std::move(*bytes)});
        },
        request.errorDetails);
  }

  void stopPodSandbox(const SandboxId& id, BootTime deadline, async::Answer<void> done) override {
    subset::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id.str());
    callForStatus("StopPodSandbox", request.SerializeAsString(), deadline, std::move(done));
  }

  void removePodSandbox(const SandboxId& id, BootTime deadline, async::Answer<void> done) override {
    subset::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id.str());
    callForStatus("RemovePodSandbox", request.SerializeAsString(), deadline, std::move(done));
  }

  void sandboxNetns(const SandboxId& id, BootTime deadline, async::Answer<Fd> done) override {
    auto netns = netnsOfBundle(stateDir_, id);
    // Without a bundle the runtime is another one, or keeps its state elsewhere: ask it.
    if (netns || netns.error().code != Code::NotFound) return done(std::move(netns));
    askForNetns(id, deadline, done);
  }

  void listPodSandboxes(BootTime deadline,
                        async::Answer<std::vector<sandbox::RuntimeSandbox>> done) override {
    call("ListPodSandbox", "", deadline, {}, [done = std::move(done)](Result<std::string> bytes) {
      if (!bytes) return done(fail(std::move(bytes).error()));
      subset::ListPodSandboxResponse reply;
      if (!reply.ParseFromString(*bytes)) {
        return done(fail(Code::Internal, "Malformed",
                         "list pod sandboxes: the runtime's reply is no valid message"));
      }
      std::vector<sandbox::RuntimeSandbox> sandboxes;
      for (const auto& item : reply.items()) {
        sandboxes.push_back({SandboxId(item.id()),
                             podOf(item.metadata()),
                             item.state() == subset::SANDBOX_READY,
                             WallTime(Duration(item.created_at())),
                             {item.annotations().begin(), item.annotations().end()}});
      }
      done(std::move(sandboxes));
    });
  }

 private:
  void askForNetns(const SandboxId& id, BootTime deadline, const async::Answer<Fd>& done) {
    subset::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id.str());
    request.set_verbose(true);
    call(
        "PodSandboxStatus", request.SerializeAsString(), deadline, {},
        [this, done](Result<std::string> bytes) {
          if (!bytes) return done(fail(std::move(bytes).error()));
          subset::PodSandboxStatusResponse reply;
          if (!reply.ParseFromString(*bytes)) {
            return done(fail(Code::Internal, "Malformed", "read sandbox status: no valid message"));
          }
          auto named = netnsOf(reply);
          if (!named) return done(fail(std::move(named).error()));
          if (!files_.post(
                  [done, named = *named] { done(openNetns(named.path, named.process)); })) {
            done(fail(Code::Unavailable, "Stopping", "find network namespace: stopping"));
          }
        });
  }

  void callForStatus(std::string method, std::string request, BootTime deadline,
                     async::Answer<void> done) {
    call(std::move(method), std::move(request), deadline, {},
         [done = std::move(done)](const Result<std::string>& bytes) {
           if (!bytes) return done(fail(bytes.error()));
           done({});
         });
  }

  /// `details`: where those of an error go, if anywhere.
  void call(std::string method, std::string request, BootTime deadline,
            const sandbox::CallMetadata& metadata, async::Answer<std::string> done,
            std::shared_ptr<std::string> details = nullptr) {
    channel_.call({std::move(method), std::move(request), deadline, metadata},
                  [done = std::move(done), details = std::move(details)](RuntimeReply reply) {
                    if (details && !reply.message) *details = std::move(reply.details);
                    done(std::move(reply.message));
                  });
  }

  RuntimeChannel& channel_;
  async::Lane& files_;
  std::string stateDir_;
};

}  // namespace

void listRunningContainers(RuntimeChannel& channel, BootTime deadline,
                           async::Answer<std::vector<drain::Container>> done) {
  subset::ListContainersRequest request;
  request.mutable_filter()->mutable_state()->set_state(subset::CONTAINER_RUNNING);
  channel.call({"ListContainers", request.SerializeAsString(), deadline, {}},
               [done = std::move(done)](RuntimeReply reply) {
                 if (!reply.message) return done(fail(std::move(reply.message).error()));
                 subset::ListContainersResponse decoded;
                 if (!decoded.ParseFromString(*reply.message)) {
                   return done(fail(Code::Internal, "Malformed",
                                    "list containers: the runtime's reply is no valid message"));
                 }
                 std::vector<drain::Container> containers;
                 for (const auto& one : decoded.containers()) {
                   containers.push_back({one.id(), one.metadata().name(),
                                         SandboxId(one.pod_sandbox_id()), one.created_at()});
                 }
                 done(std::move(containers));
               });
}

std::unique_ptr<sandbox::Runtime> makeRuntimeClient(RuntimeChannel& channel, async::Lane& files,
                                                    std::string stateDir) {
  return std::make_unique<Client>(channel, files, std::move(stateDir));
}

}  // namespace multinet::agent::cri
