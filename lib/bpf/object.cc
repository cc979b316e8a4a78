#include "lib/bpf/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>
#include <vector>

#include "lib/bpf/cgroup.h"

namespace multinet::bpf {
namespace {

/// What libbpf said on this thread since the last call: its errors say less than its words.
thread_local std::string said;
constexpr std::size_t kMostSaid = 2000;

int hear(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 1000> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  if (length <= 0) return 0;
  said += line.data();
  if (said.size() > kMostSaid) said.erase(0, said.size() - kMostSaid);
  return 0;
}

/// On one line.
std::string whatWasSaid() {
  std::string text = std::exchange(said, {});
  std::ranges::replace(text, '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? "" : " (" + text + ")";
}

tl::unexpected<Error> refused(const std::string& what, int error) {
  const std::string detail = whatWasSaid();
  if (error == EPERM || error == EACCES) {
    return fail(Code::Unavailable, "BpfNotPermitted",
                what + ": not permitted" + detail +
                    "; run the agent with CAP_SYS_ADMIN, or CAP_BPF and CAP_NET_ADMIN, on a kernel "
                    "that isn't locked down (/sys/kernel/security/lockdown)");
  }
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) {
    return fail(Code::Unavailable, "BpfNotSupported",
                what + ": the kernel refuses it" + detail +
                    "; it needs Linux 5.18 or newer with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF");
  }
  Error told = errnoError(what, error);
  told.message += detail;
  return fail(std::move(told));
}

/// A program by its code and its maps.
struct Identity {
  std::array<unsigned char, BPF_TAG_SIZE> tag{};
  std::vector<std::uint32_t> maps;
  bool operator==(const Identity&) const = default;
};

Result<Identity> identityOf(int program, const std::string& what) {
  std::array<std::uint32_t, 64> maps{};
  bpf_prog_info info{};
  info.nr_map_ids = maps.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(maps.data());
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &length) != 0) {
    return fail(errnoError(what + ": read what it is", errno));
  }
  Identity identity;
  std::copy_n(std::begin(info.tag), identity.tag.size(), identity.tag.begin());
  const std::size_t count = std::min<std::size_t>(info.nr_map_ids, maps.size());
  identity.maps.assign(maps.begin(), maps.begin() + static_cast<std::ptrdiff_t>(count));
  std::ranges::sort(identity.maps);
  return identity;
}

/// What is kept at that path; an invalid descriptor where nothing is.
Result<Fd> openKept(const std::string& path) {
  Fd link(bpf_obj_get(path.c_str()));
  if (link.valid() || errno == ENOENT) return link;
  return fail(errnoError("open what is kept at " + path, errno));
}

enum class Link { Gone, Other, Same };

/// Whether a link holds this program in this control group. One whose group was removed holds
/// nothing any more.
Result<Link> compare(const Fd& link, const Identity& wanted, std::uint64_t cgroup,
                     const std::string& path) {
  const std::string what = "read the link kept at " + path;
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0) return fail(errnoError(what, errno));
  if (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id != cgroup) return Link::Gone;
  const Fd program(bpf_prog_get_fd_by_id(info.prog_id));
  if (!program.valid()) return fail(errnoError(what + ": open its program", errno));
  MULTINET_TRY(const Identity there, identityOf(program.get(), what));
  return there == wanted ? Link::Same : Link::Other;
}

Result<std::uint64_t> idOf(const Fd& cgroup, const std::string& path) {
  struct stat now{};
  if (::fstat(cgroup.get(), &now) != 0) return fail(errnoError("look at " + path, errno));
  return now.st_ino;
}

}  // namespace

void Object::Close::operator()(bpf_object* object) const {
  bpf_object__close(object);
}

Object::~Object() = default;

Result<Object> Object::load(std::span<const unsigned char> elf, const std::string& name,
                            std::string directory, const Sizes& sizes) {
  libbpf_set_print(hear);
  said.clear();
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = name.c_str();
  options.pin_root_path = directory.c_str();
  bpf_object* opened = bpf_object__open_mem(elf.data(), elf.size(), &options);
  if (opened == nullptr) return refused("read BPF object " + name, errno);
  std::unique_ptr<bpf_object, Close> object(opened);
  for (const auto& [map, entries] : sizes) {
    bpf_map* const found = bpf_object__find_map_by_name(opened, map.c_str());
    if (found == nullptr) {
      return fail(Code::NotFound, "NoSuchMap", "size BPF map " + map + ": the object has none");
    }
    if (bpf_map__set_max_entries(found, entries) != 0) {
      return refused("size BPF map " + map, errno);
    }
  }
  if (const int error = bpf_object__load(opened); error != 0) {
    const bool another = said.find("couldn't reuse pinned map") != std::string::npos ||
                         said.find("parameter mismatch") != std::string::npos;
    if (!another) return refused("load BPF object " + name, -error);
    return fail(Code::FailedPrecondition, "MapLayout",
                "load BPF object " + name + ": a map that is kept in " + directory + " is another" +
                    whatWasSaid());
  }
  return Object(std::move(object), std::move(directory));
}

Result<Map> Object::map(const std::string& name) const {
  const int fd = bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
  if (fd < 0) {
    return fail(Code::NotFound, "NoSuchMap", "find BPF map " + name + ": the object has none");
  }
  Fd own(::fcntl(fd, F_DUPFD_CLOEXEC, 3));  // the object keeps its own
  if (!own.valid()) return fail(errnoError("duplicate descriptor of BPF map " + name, errno));
  return Map::of(std::move(own), name);
}

Status Object::keepMaps() const {
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    const char* path = bpf_map__pin_path(map);
    if (path == nullptr || ::access(path, F_OK) == 0) continue;
    if (bpf_obj_pin(bpf_map__fd(map), path) != 0 && errno != EEXIST) {
      return fail(errnoError(std::string("keep the map at ") + path, errno));
    }
  }
  return {};
}

Result<Attached> Object::attach(const std::string& cgroup) {
  MULTINET_TRY(const Fd group, openCgroup(cgroup));
  MULTINET_TRY(const std::uint64_t id, idOf(group, cgroup));
  MULTINET_TRY(const std::string mount, cgroup2Mount());
  Attached attached;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    const std::string name = bpf_program__name(program);
    const std::string path = directory_ + "/link_" + name;
    std::string what = "attach BPF program ";
    what.append(name).append(" to ").append(cgroup);
    const int fd = bpf_program__fd(program);
    MULTINET_TRY(const Identity wanted, identityOf(fd, what));
    MULTINET_TRY(const Fd kept, openKept(path));
    if (kept.valid()) {
      MULTINET_TRY(const Link link, compare(kept, wanted, id, path));
      if (link == Link::Same) {
        ++attached.kept;
        continue;
      }
      if (link == Link::Other) {
        if (bpf_link_update(kept.get(), fd, nullptr) != 0) return refused(what, errno);
        ++attached.replaced;
        continue;
      }
    }
    const auto type = bpf_program__expected_attach_type(program);
    MULTINET_CHECK(checkAttach(mount, cgroup, static_cast<int>(type)));
    const Fd made(bpf_link_create(fd, group.get(), type, nullptr));
    if (!made.valid()) return refused(what, errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return fail(errnoError("remove the link kept at " + path, errno));
    }
    if (bpf_obj_pin(made.get(), path.c_str()) != 0) {
      std::string keep = "keep the link of ";
      keep.append(name).append(" at ").append(path);
      return fail(errnoError(keep, errno));
    }
    ++attached.made;
  }
  return attached;
}

}  // namespace multinet::bpf
