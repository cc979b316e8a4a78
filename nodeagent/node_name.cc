#include "nodeagent/node_name.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "lib/api/names.h"

namespace multinet::agent {
namespace {

std::string hostName() {
  std::array<char, 256> text{};
  if (gethostname(text.data(), text.size() - 1) != 0) return {};
  std::string name = text.data();
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace

Result<std::string> nodeNameOf(const std::string& told) {
  std::string name = told.empty() ? hostName() : told;
  if (api::isDnsSubdomain(name)) return name;
  return fail(Code::InvalidArgument, "BadNodeName",
              (told.empty() ? "the host's name \"" : "--node-name \"") + name +
                  "\": no Node is called so; give --node-name or MULTINET_NODE_NAME the name of "
                  "kubectl get nodes");
}

}  // namespace multinet::agent
