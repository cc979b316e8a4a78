// What outlives an agent that is killed: the runtime's sandboxes and the kernel's links, in memory
// that processes share. For the kill loop.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/failpoint.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::recover {

using Text = std::array<char, 48>;

inline void assign(Text& to, const std::string& from) {
  to.fill('\0');
  std::memcpy(to.data(), from.data(), std::min(from.size(), to.size() - 1));
}
inline std::string text(const Text& from) {
  return from.data();
}

/// Plain data: `used` is written last, since a process may be killed at any instruction.
struct SharedSandbox {
  Text id;
  Text podUid;
  std::uint32_t attempt;
  bool ready;
  bool used;
};
struct SharedLink {
  Text intent;
  Text interface;
  Text address;
  Text mac;
  Text sandbox;
  bool used;
};
struct World {
  std::array<SharedSandbox, 64> sandboxes;
  std::array<SharedLink, 128> links;
  int made;  ///< sandboxes so far
  int boot;
  int phase;  ///< how far the kubelet's script came

  /// The node starts again: what ran runs no more, and the kubelet looks anew.
  void powerCut() {
    for (SharedSandbox& one : sandboxes) one.ready = false;
    for (SharedLink& link : links) link.used = false;
    ++boot;
    phase = 0;
  }

  static World* map() {
    void* memory =
        mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<World*>(memory);
  }
};

/// A runtime that, as containerd does, reserves the name of (pod, attempt).
class WorldRuntime final : public sandbox::Runtime {
 public:
  explicit WorldRuntime(World& world) : world_(world) {}

  void runPodSandbox(const sandbox::RunRequest& request,
                     const std::vector<InterfacePlan>& /*plans*/,
                     async::Answer<sandbox::RunReply> done) override {
    done(make(request.pod));
  }
  void stopPodSandbox(const SandboxId& id, BootTime /*deadline*/,
                      async::Answer<void> done) override {
    for (SharedSandbox& one : world_.sandboxes) {
      if (one.used && text(one.id) == id.str()) one.ready = false;
    }
    for (SharedLink& link : world_.links) {
      if (link.used && text(link.sandbox) == id.str()) link.used = false;  // died with its netns
    }
    done({});
  }
  void removePodSandbox(const SandboxId& id, BootTime /*deadline*/,
                        async::Answer<void> done) override {
    for (SharedSandbox& one : world_.sandboxes) {
      if (one.used && text(one.id) == id.str()) one.used = false;
    }
    done({});
  }
  void sandboxNetns(const SandboxId& id, BootTime /*deadline*/, async::Answer<Fd> done) override {
    for (const SharedSandbox& one : world_.sandboxes) {
      if (!one.used || !one.ready || text(one.id) != id.str()) continue;
      Fd fd(memfd_create("netns", MFD_CLOEXEC));
      if (::write(fd.get(), id.str().data(), id.str().size()) > 0) return done(std::move(fd));
    }
    done(fail(Code::NotFound, "SandboxGone", "open netns: sandbox " + id.str() + " is gone"));
  }
  void listPodSandboxes(BootTime /*deadline*/,
                        async::Answer<std::vector<sandbox::RuntimeSandbox>> done) override {
    std::vector<sandbox::RuntimeSandbox> list;
    for (const SharedSandbox& one : world_.sandboxes) {
      if (!one.used) continue;
      list.push_back({SandboxId(text(one.id)),
                      {PodUid(text(one.podUid)), "default", "web", one.attempt},
                      one.ready,
                      {},
                      {{"multinet.dev/networks", "blue"}}});
    }
    done(std::move(list));
  }

 private:
  Result<sandbox::RunReply> make(const PodRef& pod) {
    for (const SharedSandbox& one : world_.sandboxes) {
      if (one.used && text(one.podUid) == pod.uid.str() && one.attempt == pod.attempt) {
        return fail(Code::Unknown, "", "failed to reserve sandbox name");
      }
    }
    const std::string id = "s" + std::to_string(++world_.made);
    for (SharedSandbox& one : world_.sandboxes) {
      if (one.used) continue;
      assign(one.id, id);
      assign(one.podUid, pod.uid.str());
      one.attempt = pod.attempt;
      one.ready = true;
      one.used = true;
      return sandbox::RunReply{SandboxId(id), id};
    }
    return fail(Code::ResourceExhausted, "Full", "the world is full");
  }
  World& world_;
};

/// An engine whose links stay where they are when it is killed between two of them.
class WorldEngine final : public attach::AttachEngine {
 public:
  explicit WorldEngine(World& world) : world_(world) {}

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
              attach::AbortFlag /*abort*/,
              async::Answer<std::vector<InterfaceStatus>> done) override {
    Text sandbox{};
    if (::pread(netns.get(), sandbox.data(), sandbox.size() - 1, 0) < 0) std::abort();
    std::vector<InterfaceStatus> statuses;
    for (const InterfacePlan& plan : plans) {
      failpoint::pass("world.link.before");
      make(intent, plan, sandbox);
      failpoint::pass("world.link.after");
      statuses.push_back({plan, InterfaceState::Attached, 3, "", "", {}, LinkState::Up});
    }
    done(std::move(statuses));
  }
  void maintain(IntentId /*intent*/, Fd /*netns*/, std::vector<InterfacePlan> plans,
                attach::AbortFlag /*abort*/, async::Answer<attach::Upkeep> done) override {
    attach::Upkeep upkeep;
    for (const InterfacePlan& plan : plans) {
      upkeep.interfaces.push_back({plan, InterfaceState::Attached, 3, "", "", {}, LinkState::Up});
    }
    done(std::move(upkeep));
  }
  void detach(IntentId intent, std::optional<Fd> /*netns*/, async::Answer<void> done) override {
    for (SharedLink& link : world_.links) {
      if (!link.used || text(link.intent) != intent.str()) continue;
      link.used = false;
      failpoint::pass("world.unlink.after");
    }
    done({});
  }
  Result<std::vector<attach::ObservedInterface>> observe(const std::optional<Fd>& netns) override {
    Text sandbox{};
    if (netns && ::pread(netns->get(), sandbox.data(), sandbox.size() - 1, 0) < 0) std::abort();
    return look([&](const SharedLink& link) { return netns && link.sandbox == sandbox; });
  }
  Result<std::vector<attach::ObservedInterface>> observeAll() override {
    return look([](const SharedLink&) { return true; });
  }

 private:
  template <class Fits>
  [[nodiscard]] std::vector<attach::ObservedInterface> look(Fits fits) const {
    std::vector<attach::ObservedInterface> seen;
    for (const SharedLink& link : world_.links) {
      if (!link.used || !fits(link)) continue;
      attach::ObservedInterface one;
      one.intent = IntentId(text(link.intent));
      one.interface = text(link.interface);
      one.link = one.interface;
      one.ifindex = 3;
      one.inPod = true;
      one.up = true;
      one.mac = MacAddress::parse(text(link.mac)).value();
      one.addresses = {InterfaceAddress::parse(text(link.address)).value()};
      seen.push_back(std::move(one));
    }
    return seen;
  }

  void make(const IntentId& intent, const InterfacePlan& plan, const Text& sandbox) {
    for (const SharedLink& link : world_.links) {
      const bool same =
          text(link.intent) == intent.str() && text(link.interface) == plan.name.str();
      if (link.used && same) return;
    }
    for (SharedLink& link : world_.links) {
      if (link.used) continue;
      assign(link.intent, intent.str());
      assign(link.interface, plan.name.str());
      assign(link.address, plan.addresses.at(0).address.str());
      assign(link.mac, plan.mac.str());
      link.sandbox = sandbox;
      link.used = true;
      return;
    }
  }
  World& world_;
};

}  // namespace multinet::agent::recover
