#include "nodeagent/services/kernel_plane.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "lib/base/log.h"
#include "lib/bpf/bpffs.h"
#include "lib/bpf/cgroup.h"
#include "lib/netlink/sock_diag.h"
#include "lib/netns/cookie.h"
#include "nodeagent/services/translate.bpf.h"

namespace multinet::agent::services {
namespace {

namespace fs = std::filesystem;

/// Where the maps of layout 1 are, those of the version before this one.
std::string earlier(const std::string& directory) {
  return directory + "/v1";
}

/// Those that have an entry for each address, or for each endpoint. Their size is that of a table
/// of 16 bytes an entry; entries are allocated when they are written.
constexpr std::array kGrowing{"services", "slots", "endpoints"};
/// 64 MiB of such a table.
constexpr std::uint32_t kMostEntries = 1U << 22U;
constexpr unsigned kMostGenerations = 16;

bool isTarget(const netlink::UdpSocket& socket, const Target& target) {
  const mn_backend backend = toMap(target);
  return socket.port == backend.port &&
         std::memcmp(socket.remote.data(), backend.address, socket.remote.size()) == 0;
}

}  // namespace

Result<std::string> podsCgroup(const std::string& mount) {
  for (const char* name : {"kubepods.slice", "kubepods", "k8s.io"}) {
    std::error_code ignored;
    std::string path = mount + "/" + name;
    if (fs::is_directory(path, ignored)) return path;
  }
  return fail(Code::Unavailable, "NoPodsCgroup",
              "find the control group of all pods: " + mount +
                  " has neither kubepods.slice nor kubepods nor k8s.io; name it with "
                  "--pods-cgroup");
}

std::string KernelPlane::keptAs(unsigned generation) const {
  const std::string first = options_.directory + "/v" + std::to_string(MN_LAYOUT);
  return generation == 0 ? first : first + "-" + std::to_string(generation);
}

std::optional<unsigned> KernelPlane::oldest() const {
  std::error_code ignored;
  for (unsigned generation = 0; generation <= kMostGenerations; ++generation) {
    if (fs::exists(keptAs(generation) + "/services", ignored)) return generation;
  }
  return std::nullopt;
}

bool KernelPlane::isThere() const {
  std::error_code ignored;
  return oldest() || fs::exists(earlier(options_.directory) + "/services", ignored);
}

// As they are kept; those that aren't are as the programs' source has them.
bpf::Sizes KernelPlane::sizes() const {
  bpf::Sizes sizes;
  for (const char* name : kGrowing) {
    if (const auto map = bpf::Map::keptAt(kept() + "/" + name)) sizes[name] = map->capacity();
  }
  return sizes;
}

// What is as it was goes on as it is, links too: they get the new programs when all that these read
// is there, and no connect finds less than before.
Status KernelPlane::takeOverPins() const {
  std::error_code failed;
  const std::string before = earlier(options_.directory);
  if (!fs::is_directory(before, failed)) return {};
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(before, failed)) {
    names.push_back(entry.path().filename());
  }
  if (failed) {
    return fail(errnoError("read what an earlier version left in " + before, failed.value()));
  }
  for (const std::string& name : names) {
    if (name == "services") continue;
    const fs::path now = fs::path(kept()) / (name == "datagrams" ? "endpoints" : name);
    MULTINET_CHECK(bpf::keepAlso(fs::path(before) / name, now));
  }
  return {};
}

// Its values were shorter: nobody kept an endpoint.
Status KernelPlane::takeOverServices() {
  const auto before = bpf::Map::keptAt(earlier(options_.directory) + "/services");
  if (!before) {
    if (before.error().code == Code::NotFound) return {};
    return fail(before.error());
  }
  Status written;
  MULTINET_CHECK(before->each([&](bpf::Bytes key, bpf::Bytes value) {
    const auto service = as<mn_service>(value);
    if (const Status one = services_->put(key, bpf::bytesOf(service)); !one) written = one;
  }));
  return written;
}

Status KernelPlane::load() {
  MULTINET_CHECK(bpf::mountBpffs(options_.directory));
  generation_ = oldest().value_or(0);
  MULTINET_CHECK(makePrivateDirectory(kept()));
  MULTINET_CHECK(takeOverPins());
  MULTINET_TRY(bpf::Object object,
               bpf::Object::load(bpf::objects::translate, "translate", kept(), sizes()));
  MULTINET_TRY(members_, object.map("members"));
  MULTINET_TRY(services_, object.map("services"));
  MULTINET_TRY(slots_, object.map("slots"));
  MULTINET_TRY(endpoints_, object.map("endpoints"));
  MULTINET_TRY(flows_, object.map("flows"));
  MULTINET_CHECK(takeOverServices());
  object_ = std::move(object);
  return {};
}

Result<bpf::Attached> KernelPlane::attachTo(bpf::Object& object) const {
  MULTINET_TRY(const std::string mount, bpf::cgroup2Mount());
  std::string cgroup = mount + "/" + options_.cgroup;
  if (options_.cgroup.empty()) {
    MULTINET_TRY(cgroup, podsCgroup(mount));
  }
  MULTINET_TRY(const bpf::Attached attached, object.attach(cgroup));
  if (attached.made + attached.replaced == 0) return attached;
  log::info("attached the programs of services", {{"cgroup", cgroup},
                                                  {"made", attached.made},
                                                  {"replaced", attached.replaced},
                                                  {"kept", attached.kept}});
  return attached;
}

Status KernelPlane::attach() {
  MULTINET_CHECK(attachTo(*object_));
  forgetOthers();
  return {};
}

Status KernelPlane::copyInto(const bpf::Object& larger) {
  for (const char* name : kGrowing) {
    MULTINET_TRY(bpf::Map to, larger.map(name));
    MULTINET_TRY(const bpf::Map from, object_->map(name));
    Status written;
    MULTINET_CHECK(from.each([&](bpf::Bytes key, bpf::Bytes value) {
      if (const Status one = to.put(key, value); !one) written = one;
    }));
    MULTINET_CHECK(written);
  }
  return {};
}

// Nobody writes meanwhile. Programs read the larger maps one after the other, and links go on: what
// they find is the same. An agent that dies in between is followed by one that takes the smaller.
Status KernelPlane::grow() {
  bpf::Sizes sizes = this->sizes();
  for (auto& [name, entries] : sizes) {
    if (entries >= kMostEntries || generation_ >= kMostGenerations) {
      return fail(Code::ResourceExhausted, "MapFull",
                  "enlarge BPF map " + name + ": it has room for " + std::to_string(entries) +
                      " entries, and none has more");
    }
    entries *= 2;
  }
  std::error_code ignored;
  const std::string larger = keptAs(generation_ + 1);
  const auto undo = [&](const Error& error) {
    // Links of programs that read the larger maps get their own again.
    const auto back = attachTo(*object_);
    if (!back) log::warn("can't go back to maps of services", {{"error", back.error()}});
    fs::remove_all(larger, ignored);
    return fail(error);
  };
  fs::remove_all(larger, ignored);
  MULTINET_CHECK(makePrivateDirectory(larger));
  for (const auto& entry : fs::directory_iterator(kept(), ignored)) {
    const std::string name = entry.path().filename();
    if (sizes.contains(name)) continue;
    if (const Status both = bpf::keepAlso(entry.path(), fs::path(larger) / name); !both) {
      return undo(both.error());
    }
  }
  auto object = bpf::Object::load(bpf::objects::translate, "translate", larger, sizes);
  if (!object) return undo(object.error());
  if (const Status copied = copyInto(*object); !copied) return undo(copied.error());
  if (const auto attached = attachTo(*object); !attached) return undo(attached.error());
  MULTINET_TRY(services_, object->map("services"));
  MULTINET_TRY(slots_, object->map("slots"));
  MULTINET_TRY(endpoints_, object->map("endpoints"));
  object_ = std::move(*object);
  ++generation_;
  forgetOthers();
  log::info("enlarged the maps of services",
            {{"services", sizes["services"]}, {"endpoints", sizes["slots"]}});
  return {};
}

Status KernelPlane::ensure() {
  if (!object_) {
    MULTINET_CHECK(load());
  } else {
    // Whoever unmounted it took the links along, and a successor would find no maps.
    MULTINET_CHECK(bpf::mountBpffs(options_.directory));
    MULTINET_CHECK(makePrivateDirectory(kept()));
    MULTINET_CHECK(object_->keepMaps());
  }
  return attach();
}

// Of another version, whose maps nobody fills any more; links that weren't taken over end with it.
void KernelPlane::forgetOthers() const {
  std::error_code ignored;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(options_.directory, ignored)) {
    if (entry.path() != fs::path(kept())) others.push_back(entry.path());
  }
  for (const fs::path& one : others) fs::remove_all(one, ignored);
}

Result<std::set<std::uint64_t>> KernelPlane::namespaces() {
  MULTINET_TRY(const netns::Home home, netns::openHome());
  std::set<std::uint64_t> cookies;
  MULTINET_CHECK(netns::forEach([&](const Fd& one) -> Status {
    MULTINET_TRY(const std::uint64_t cookie, netns::cookie(one, home));
    cookies.insert(cookie);
    return {};
  }));
  return cookies;
}

Result<unsigned> KernelPlane::endHere(const std::vector<Ended>& ended) const {
  unsigned count = 0;
  MULTINET_TRY(const auto sockets, netlink::connectedUdp());
  for (const netlink::UdpSocket& socket : sockets) {
    for (const Ended& one : ended) {
      const auto target = std::ranges::find_if(
          one.targets, [&](const Target& gone) { return isTarget(socket, gone); });
      if (target == one.targets.end()) continue;
      // Who connected to the pod itself, and not to the service, keeps its socket.
      mn_flow flow{};
      flow.socket = socket.cookie;
      const mn_backend backend = toMap(*target);
      std::memcpy(flow.address, backend.address, sizeof flow.address);
      flow.port = backend.port;
      flow.back = 1;
      MULTINET_TRY(const auto found, flows_->find(bpf::bytesOf(flow)));
      if (!found || as<mn_remembered>(*found).id != one.service) continue;
      MULTINET_CHECK(netlink::destroy(socket));
      ++count;
      break;
    }
  }
  return count;
}

Result<unsigned> KernelPlane::end(const std::vector<Ended>& ended, const Members& members) {
  MULTINET_TRY(const netns::Home home, netns::openHome());
  unsigned count = 0;
  MULTINET_CHECK(netns::forEach([&](const Fd& one) -> Status {
    MULTINET_TRY(const std::uint64_t cookie, netns::cookie(one, home));
    std::vector<Ended> here;
    for (const Ended& gone : ended) {
      if (members.has(cookie, gone.network)) here.push_back(gone);
    }
    if (here.empty()) return {};
    MULTINET_TRY(const netns::Scope scope, netns::Scope::enter(one, home));
    MULTINET_TRY(const unsigned some, endHere(here));
    count += some;
    return {};
  }));
  return count;
}

}  // namespace multinet::agent::services
