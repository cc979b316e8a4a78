// Pods and their nodes: `list_pods [NAMESPACE]`.
#include <cstdlib>
#include <iostream>

#include "lib/k8s/core.h"
#include "lib/kube/client.h"

using namespace multinet;

namespace {

Result<std::vector<k8s::Pod>> podsOf(const std::string& nameSpace) {
  MULTINET_TRY(const auto config, kube::loadConfig("", ""));  // finds the cluster as kubectl does
  MULTINET_TRY(const auto client, kube::connect(config));
  kube::Selection selection;
  selection.nameSpace = nameSpace;
  return client->list<k8s::Pod>(selection);
}

}  // namespace

int main(int argc, char** argv) {
  const auto pods = podsOf(argc > 1 ? argv[1] : "");
  if (!pods) {
    std::cerr << pods.error().message << std::endl;
    std::_Exit(1);
  }
  for (const k8s::Pod& pod : *pods) {
    std::cout << pod.metadata.nameSpace << " " << pod.metadata.name << " " << pod.spec.nodeName
              << "\n";
  }
  std::cout.flush();
  std::_Exit(0);
}
