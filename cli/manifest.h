// What manifests have in them, as kubectl would send it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace multinet::cli {

/// An object of a manifest.
struct Written {
  nlohmann::json object;  ///< a map with a `kind`
  std::string place;      ///< `pod.yaml`, of several documents `pod.yaml, document 2`
};

/// All objects of a YAML or JSON text with any number of documents, those of Lists one by one;
/// `source` names it in messages. Scalars are typed as kubectl types them: of `on` and `0x50` the
/// API server gets a boolean and a number. InvalidArgument: not YAML, a document that is no object
/// or says of no kind, a name twice in a map, an alias inside of what it names.
[[nodiscard]] Result<std::vector<Written>> readObjects(std::string_view text,
                                                       const std::string& source);

/// Those of files; `-` is standard input. The errors of readFile(), and those of readObjects().
[[nodiscard]] Result<std::vector<Written>> readManifests(const std::vector<std::string>& files);

}  // namespace multinet::cli
