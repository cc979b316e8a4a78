#include "lib/k8s/projection.h"

#include <algorithm>

namespace multinet::k8s {
namespace {

void look(const Fields& fields, const std::string& prefix, const std::vector<Property>& outline,
          std::vector<std::string>& found) {
  for (const Fields& field : fields.inside) {
    const std::string path = prefix + std::string(field.name);
    const auto known = std::ranges::find(outline, path, &Property::path);
    if (known == outline.end()) {
      found.push_back(path);
    } else if (known->type != "map") {
      look(field, path + (known->type == "array" ? "[]." : "."), outline, found);
    }
  }
}

}  // namespace

std::vector<std::string> strangers(const Fields& fields, const std::vector<Property>& outline) {
  std::vector<std::string> found;
  look(fields, "", outline, found);
  return found;
}

}  // namespace multinet::k8s
