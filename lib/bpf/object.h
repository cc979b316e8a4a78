// Programs and maps of one compiled object (an ELF file that clang made): loaded, kept in a bpffs,
// attached to a control group.
//
// What an earlier process kept is taken over: maps with all that is in them, and links whose
// programs are the same stay untouched. So a restart interrupts nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "lib/base/fd.h"
#include "lib/bpf/map.h"

struct bpf_object;

namespace multinet::bpf {

/// What attaching did.
struct Attached {
  unsigned made = 0;      ///< links that weren't there
  unsigned replaced = 0;  ///< links that got another program, in one step
  unsigned kept = 0;      ///< links that were as they shall be
};

/// Entries for which maps have room, by the maps' names.
using Sizes = std::map<std::string, std::uint32_t>;

/// One thread at a time.
class Object {
 public:
  /// Loads all programs. `elf` outlives it; a map that says so (LIBBPF_PIN_BY_NAME) is kept in the
  /// directory, a bpffs (bpffs.h), or taken from there. Errors name the call and the file, hold
  /// what the kernel said, and what helps: Unavailable/BpfNotPermitted, BpfNotSupported (with the
  /// verifier's last words), or FailedPrecondition/MapLayout where a map that is kept is another.
  /// `sizes`: of maps that have room for so many entries, whatever the source says.
  [[nodiscard]] static Result<Object> load(std::span<const unsigned char> elf,
                                           const std::string& name, std::string directory,
                                           const Sizes& sizes = {});
  Object(Object&&) noexcept = default;
  Object& operator=(Object&&) noexcept = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object();

  /// By its name in the source.
  [[nodiscard]] Result<Map> map(const std::string& name) const;

  /// Keeps the maps that say so in the directory again, where somebody took them away. What is
  /// there stays.
  [[nodiscard]] Status keepMaps() const;

  /// Attaches each program, by its section's name, to a control group of version 2 and keeps the
  /// links as `link_<program>`. May be called again: what is there stays. Either the control group
  /// has no program that suffers no others (see cgroup.h), or FailedPrecondition/CgroupTaken.
  [[nodiscard]] Result<Attached> attach(const std::string& cgroup);

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  Object(std::unique_ptr<bpf_object, Close> object, std::string directory)
      : object_(std::move(object)), directory_(std::move(directory)) {}

  std::unique_ptr<bpf_object, Close> object_;
  std::string directory_;
};

}  // namespace multinet::bpf
