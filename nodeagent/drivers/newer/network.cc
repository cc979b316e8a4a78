#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/newer/newer.h"

namespace multinet::agent::drivers::newer {

std::vector<std::string> Network::links(Place place, const Ground& ground) const {
  const Links& side = place == Place::Switch ? ground.host.inner : ground.host;
  std::vector<std::string> names;
  for (const auto& [name, link] : side.links) {
    if (link.alias == networkAlias(ground.uid)) names.push_back(name);
  }
  return names;
}

}  // namespace multinet::agent::drivers::newer
