// A controller: each pod carries the label `team` of its namespace.
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "lib/async/workers.h"
#include "lib/k8s/core.h"
#include "lib/kube/informer.h"

using namespace multinet;

namespace {

Status control(const sigset_t& stop) {
  MULTINET_TRY(const auto config, kube::loadConfig("", ""));
  MULTINET_TRY(const auto client, kube::connect(config));
  kube::Informer<k8s::Namespace> namespaces(*client, {});
  kube::Informer<k8s::Pod> pods(*client, {});

  // Level, not edge: it looks at what is, and what was missed meanwhile doesn't matter. What fails
  // comes again by itself, later each time.
  const auto reconcile = [&](const kube::ObjectKey& key) -> Result<async::Outcome> {
    const auto pod = pods.get(key);
    const auto nameSpace = namespaces.get({"", key.nameSpace});
    if (!pod || !nameSpace) return async::Outcome{};
    const auto team = nameSpace->metadata.labels.find("team");
    if (team == nameSpace->metadata.labels.end()) return async::Outcome{};
    const auto has = pod->metadata.labels.find("team");
    if (has != pod->metadata.labels.end() && has->second == team->second) return async::Outcome{};
    // The precondition is the pod that was decided on.
    const kube::Json patch{
        {"metadata", {{"uid", pod->metadata.uid}, {"labels", {{"team", team->second}}}}}};
    MULTINET_CHECK(client->patch<k8s::Pod>(key, patch));
    std::cout << "labelled " << key.str() << std::endl;
    return async::Outcome{};
  };
  async::Workers<kube::ObjectKey> workers("team-labels", kSystemClock, {}, reconcile);

  const auto look = [&](const k8s::Pod& pod) {
    workers.add({pod.metadata.nameSpace, pod.metadata.name});
  };
  const auto lookAtAll = [&](const k8s::Namespace& nameSpace) {
    for (const auto& pod : pods.byIndex("namespace", nameSpace.metadata.name)) look(*pod);
  };
  pods.addIndex("namespace",
                [](const k8s::Pod& pod) { return std::vector{pod.metadata.nameSpace}; });
  pods.addHandler({.added = look, .updated = [=](const auto&, const auto& now) { look(now); }});
  namespaces.addHandler(
      {.added = lookAtAll, .updated = [=](const auto&, const auto& now) { lookAtAll(now); }});

  namespaces.start();
  pods.start();
  workers.start(2);
  int signal = 0;
  sigwait(&stop, &signal);
  return {};
}

}  // namespace

int main() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);  // before there is a second thread
  const auto status = control(stop);
  if (!status) std::cerr << status.error().message << std::endl;
  std::_Exit(status ? 0 : 1);
}
