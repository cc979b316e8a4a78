// Says what happens to pods until it is asked to stop (SIGINT, SIGTERM).
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "lib/k8s/core.h"
#include "lib/kube/informer.h"

using namespace multinet;

namespace {

void say(const char* what, const k8s::Pod& pod) {
  std::cout << what << " " << pod.metadata.nameSpace << "/" << pod.metadata.name << " "
            << pod.status.phase << std::endl;
}

Status follow(const sigset_t& stop) {
  MULTINET_TRY(const auto config, kube::loadConfig("", ""));
  MULTINET_TRY(const auto client, kube::connect(config));
  kube::Informer<k8s::Pod> pods(*client, {});
  // On the watch's thread, which they mustn't block.
  pods.addHandler({.added = [](const k8s::Pod& pod) { say("added", pod); },
                   .updated = [](const k8s::Pod&, const k8s::Pod& now) { say("updated", now); },
                   .deleted = [](const k8s::Pod& last) { say("deleted", last); },
                   .synced = [] { std::cout << "synced" << std::endl; }});
  pods.start();
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
  const auto status = follow(stop);
  if (!status) std::cerr << status.error().message << std::endl;
  std::_Exit(status ? 0 : 1);
}
