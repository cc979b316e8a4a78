// The informers of all kinds that a pass looks at.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "controller/observe/snapshot.h"
#include "lib/kube/informer.h"

namespace multinet::controller {

/// Started once, stopped once. `changed` is called on the watches' threads and must not block.
class Caches {
 public:
  Caches(kube::Client& client, const std::function<void()>& changed);

  void start();
  void stop();
  /// Names the first cache that isn't filled yet.
  [[nodiscard]] Status synced() const;
  /// As above, and the first of which the server has said nothing for longer than `oldest`.
  [[nodiscard]] Status ready(Duration oldest) const;
  /// How long ago the server last said something of a resource.
  [[nodiscard]] std::map<std::string, Duration> ages() const;
  /// Null-free lists of everything, without waiting for the server.
  [[nodiscard]] Observed observe() const;

 private:
  /// Calls `use(name, informer)` for each.
  template <class Self, class Use>
  static void each(Self& self, const Use& use);

  kube::Informer<SeenNetwork> networks_;
  kube::Informer<SeenAttachment> attachments_;
  kube::Informer<Identifier> identifiers_;
  kube::Informer<SeenPod> pods_;
  kube::Informer<InterfaceSet> sets_;
  kube::Informer<SeenNodeSet> nodeSets_;
  kube::Informer<SeenPeer> peers_;
  kube::Informer<Block> blocks_;
  kube::Informer<SeenNode> nodes_;
  kube::Informer<SeenNamespace> namespaces_;
};

}  // namespace multinet::controller
