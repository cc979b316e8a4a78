// What lib/api's rules say of each network and attachment: asked when the object, or what it is
// judged by, changes, and never else.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/world/tables.h"

namespace multinet::controller {

/// One sentence for each broken rule.
using Sentences = std::vector<std::string>;
/// The first, and how many more there are. Not for an empty list.
[[nodiscard]] std::string shortly(const Sentences& sentences);

struct AttachmentVerdict {
  bool granted = true;   ///< the network's access lets this namespace in
  Sentences violations;  ///< all others
  bool operator==(const AttachmentVerdict&) const = default;
};

/// One thread.
class Verdicts {
 public:
  /// Judges, or forgets what is gone. True where the verdict is another than before.
  bool network(const k8s::ObjectKey& key, const Tables& tables);
  bool attachment(const k8s::ObjectKey& key, const Tables& tables);

  [[nodiscard]] const Sentences& ofNetwork(const k8s::ObjectKey& key) const;
  /// Of one that was judged.
  [[nodiscard]] const AttachmentVerdict& ofAttachment(const k8s::ObjectKey& key) const;
  /// How often the rules were asked since the start.
  [[nodiscard]] std::uint64_t judged() const { return judged_; }

 private:
  // Those with any objection; most have none.
  std::unordered_map<k8s::ObjectKey, Sentences> networks_;
  std::unordered_map<k8s::ObjectKey, AttachmentVerdict> attachments_;
  std::uint64_t judged_ = 0;
};

}  // namespace multinet::controller
