// The least that can stand between a kubelet and a runtime and give pods interfaces: for each
// RunPodSandbox one synced commit before the runtime is asked and the bare netlink requests after
// it, all on the thread that passes the bytes on. It resolves, remembers and checks nothing.
//
// It is measured in the agent's place, pod by pod in turn with it: processors that slept and caches
// that others filled meanwhile take both alike, which a loop of attaches doesn't show.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/attach_contenders.h"
#include "lib/store/database.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/server.h"

namespace multinet::bench {

class Floor {
 public:
  /// Serves at the path `listen`; `runtime` is an endpoint (`unix:///...`). What it commits goes to
  /// the file `commits`; its interfaces have a namespace of their own on both ends.
  [[nodiscard]] static Result<std::unique_ptr<Floor>> start(const std::string& listen,
                                                            const std::string& runtime,
                                                            const std::string& commits,
                                                            const std::vector<LinkKind>& links);
  Floor(Fd socket, const std::string& runtime, store::Database commits,
        std::vector<std::unique_ptr<Contender>> links);

 private:
  class Run;
  class Stop;
  [[nodiscard]] Status commit();
  [[nodiscard]] Status attach();
  [[nodiscard]] Status detach();

  store::Database commits_;
  std::vector<std::unique_ptr<Contender>> links_;
  bool attached_ = false;
  std::unique_ptr<agent::cri::Server> server_;
  agent::cri::Listener listener_;
};

}  // namespace multinet::bench
