// The least that can stand between a kubelet and a runtime and give pods interfaces: for each
// RunPodSandbox one synced commit before the runtime is asked and the bare netlink requests after
// it, all on the thread that passes the bytes on. It resolves, remembers and checks nothing. For
// many pods at once it makes the links alone: an agent's commits go together.
//
// It is measured in the agent's place, pod by pod in turn with it: processors that slept and caches
// that others filled meanwhile take both alike, which a loop of attaches doesn't show.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/attach_contenders.h"
#include "lib/netns/netns.h"
#include "lib/store/database.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/server.h"

namespace multinet::bench {

class Floor {
 public:
  struct Options {
    std::string listen;   ///< a path
    std::string runtime;  ///< an endpoint (`unix:///...`)
    std::string commits;  ///< the file of what it commits; with `pods` there is none
    std::vector<LinkKind> links;
    /// How many pods there are at once; 0: one after the other, whose links go when it is stopped.
    unsigned pods = 0;
  };
  /// Its interfaces have a namespace of their own on both ends.
  [[nodiscard]] static Result<std::unique_ptr<Floor>> start(const Options& options);
  Floor(Options options, Fd socket, std::optional<store::Database> commits);

  /// Before the first pods, and between the last ones' end and the next: their namespaces go, links
  /// and all, and new ones are there. While nobody calls.
  [[nodiscard]] Status refill();

 private:
  using Links = std::vector<std::unique_ptr<Contender>>;
  class Run;
  class Stop;
  [[nodiscard]] Status commit();
  [[nodiscard]] Status attach();
  [[nodiscard]] Status detach();

  const Options options_;
  std::optional<store::Database> commits_;
  std::vector<Links> pods_;  ///< what each would have
  std::size_t attached_ = 0;
  std::unique_ptr<agent::cri::Server> server_;
  agent::cri::Listener listener_;
};

}  // namespace multinet::bench
