#include "nodeagent/services/kernel_plane.h"

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

std::string KernelPlane::kept() const {
  return options_.directory + "/v" + std::to_string(MN_LAYOUT);
}

bool KernelPlane::isThere() const {
  std::error_code ignored;
  return fs::exists(kept() + "/services", ignored) ||
         fs::exists(earlier(options_.directory) + "/services", ignored);
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
  MULTINET_CHECK(makePrivateDirectory(kept()));
  MULTINET_CHECK(takeOverPins());
  MULTINET_TRY(bpf::Object object, bpf::Object::load(bpf::objects::translate, "translate", kept()));
  MULTINET_TRY(members_, object.map("members"));
  MULTINET_TRY(services_, object.map("services"));
  MULTINET_TRY(slots_, object.map("slots"));
  MULTINET_TRY(endpoints_, object.map("endpoints"));
  MULTINET_TRY(flows_, object.map("flows"));
  MULTINET_CHECK(takeOverServices());
  object_ = std::move(object);
  return {};
}

Status KernelPlane::attach() {
  MULTINET_TRY(const std::string mount, bpf::cgroup2Mount());
  std::string cgroup = mount + "/" + options_.cgroup;
  if (options_.cgroup.empty()) {
    MULTINET_TRY(cgroup, podsCgroup(mount));
  }
  MULTINET_TRY(const bpf::Attached attached, object_->attach(cgroup));
  forgetOthers();
  if (attached.made + attached.replaced == 0) return {};
  log::info("attached the programs of services", {{"cgroup", cgroup},
                                                  {"made", attached.made},
                                                  {"replaced", attached.replaced},
                                                  {"kept", attached.kept}});
  return {};
}

Status KernelPlane::ensure() {
  if (!object_) MULTINET_CHECK(load());
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
