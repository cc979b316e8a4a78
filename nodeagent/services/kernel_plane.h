#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/bpf/object.h"
#include "nodeagent/services/plane.h"

namespace multinet::agent::services {

struct PlaneOptions {
  /// Where maps and links are kept; a bpffs is mounted there.
  std::string directory;
  /// Control group of all pods, below the mount of version 2; empty: the one that kubelet or
  /// containerd made, see podsCgroup().
  std::string cgroup;
};

/// The control group, below `mount`, that all pods are in: `kubepods.slice` (kubelet with systemd),
/// `kubepods` (with cgroupfs), or `k8s.io` (containerd's, beside groups of version 1).
/// Unavailable/NoPodsCgroup where there is none yet.
[[nodiscard]] Result<std::string> podsCgroup(const std::string& mount);

/// lib/bpf with the programs of program/translate.bpf.c.
class KernelPlane final : public Plane {
 public:
  explicit KernelPlane(PlaneOptions options) : options_(std::move(options)) {}

  [[nodiscard]] bool isThere() const override;
  [[nodiscard]] Status ensure() override;
  [[nodiscard]] Status grow() override;
  [[nodiscard]] ServiceTable::Maps maps() override { return {*services_, *slots_, *endpoints_}; }
  [[nodiscard]] bpf::Table& members() override { return *members_; }
  [[nodiscard]] Result<std::set<std::uint64_t>> namespaces() override;
  [[nodiscard]] Result<unsigned> end(const std::vector<Ended>& ended,
                                     const Members& members) override;

 private:
  /// The directory of the maps that are used, or are to be made; `generation` 0: as made first.
  [[nodiscard]] std::string keptAs(unsigned generation) const;
  [[nodiscard]] std::string kept() const { return keptAs(generation_); }
  /// The oldest that is there: it goes once a later one is whole.
  [[nodiscard]] std::optional<unsigned> oldest() const;
  [[nodiscard]] bpf::Sizes sizes() const;
  [[nodiscard]] Result<bpf::Attached> attachTo(bpf::Object& object) const;
  [[nodiscard]] Status copyInto(const bpf::Object& larger);
  [[nodiscard]] Status load();
  [[nodiscard]] Status takeOverPins() const;
  [[nodiscard]] Status takeOverServices();
  [[nodiscard]] Status attach();
  void forgetOthers() const;
  [[nodiscard]] Result<unsigned> endHere(const std::vector<Ended>& ended) const;

  const PlaneOptions options_;
  unsigned generation_ = 0;  ///< how often the maps have grown
  std::optional<bpf::Object> object_;
  std::optional<bpf::Map> members_;
  std::optional<bpf::Map> services_;
  std::optional<bpf::Map> slots_;
  std::optional<bpf::Map> endpoints_;
  std::optional<bpf::Map> flows_;
};

}  // namespace multinet::agent::services
