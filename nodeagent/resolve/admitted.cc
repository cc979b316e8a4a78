#include "nodeagent/resolve/admitted.h"

#include <algorithm>

#include "lib/api/names.h"

namespace multinet::agent::resolve {
namespace {

constexpr const char* kRemedy = "; delete the pod and create it again";

std::string annotationPath() {
  return std::string("metadata.annotations[") + api::kResolvedAnnotation + "]";
}

tl::unexpected<Error> replaced(const api::ResolvedInterface& interface, const char* kind,
                               const std::string& name, const std::string& before,
                               const std::string& now) {
  const std::string reason =
      std::string(kind) == "network" ? "NetworkReplaced" : "AttachmentReplaced";
  return fail(Code::FailedPrecondition, reason,
              "interface " + interface.name.str() + ": " + kind + " \"" + name +
                  "\" was deleted and made again under its name: the pod was given the one with "
                  "UID " +
                  before + ", the name is that of UID " + now + " now" + kRemedy);
}

Status compare(const api::ResolvedInterface& interface, const api::ResolvedReference& admitted) {
  if (admitted.network != interface.network) {
    return fail(Code::FailedPrecondition, "NetworkReplaced",
                "interface " + interface.name.str() + ": " + interface.item.str() +
                    " names network \"" + interface.network.str() + "\" now; the pod was given \"" +
                    admitted.network.str() + "\"" + kRemedy);
  }
  if (admitted.networkUid != interface.networkUid) {
    return replaced(interface, "network", interface.network.str(), admitted.networkUid.str(),
                    interface.networkUid.str());
  }
  if (admitted.objectUid != interface.objectUid) {
    return replaced(interface, "attachment", interface.item.name, admitted.objectUid,
                    interface.objectUid);
  }
  return {};
}

Status checkAnnotation(const std::string& text, const std::vector<api::ResolvedInterface>& now) {
  const auto admitted = api::parseResolved(text);
  if (!admitted.has_value()) {
    return fail(Code::FailedPrecondition, "NotAdmitted",
                annotationPath() + ": " + admitted.error().message + kRemedy +
                    ", without this annotation: admission writes it");
  }
  for (const api::ResolvedInterface& interface : now) {
    // By what was asked for, each once in a request: an attachment's interfaceName may change.
    const auto found =
        std::find_if(admitted->begin(), admitted->end(),
                     [&](const api::ResolvedReference& one) { return one.item == interface.item; });
    if (found == admitted->end()) {
      return fail(Code::FailedPrecondition, "NotAdmitted",
                  annotationPath() + " \"" + text + "\": doesn't tell of " + interface.item.str() +
                      ", which the pod asks for" + kRemedy);
    }
    MULTINET_CHECK(compare(interface, *found));
  }
  return {};
}

bool sameItem(const InterfacePlan& plan, const api::RequestItem& item) {
  return item.kind == api::RequestKind::Attachment
             ? plan.attachment == item.name
             : plan.attachment.empty() && plan.network.str() == item.name;
}

Status checkEarlier(const std::vector<InterfacePlan>& earlier,
                    const std::vector<api::ResolvedInterface>& now) {
  for (const api::ResolvedInterface& interface : now) {
    for (const InterfacePlan& plan : earlier) {
      if (!sameItem(plan, interface.item) || plan.networkUid == interface.networkUid) continue;
      return replaced(interface, "network", interface.network.str(), plan.networkUid.str(),
                      interface.networkUid.str());
    }
  }
  return {};
}

}  // namespace

Status checkAdmitted(const PodRequest& request, const std::vector<api::ResolvedInterface>& now) {
  const auto written = request.annotations.find(api::kResolvedAnnotation);
  if (written != request.annotations.end()) MULTINET_CHECK(checkAnnotation(written->second, now));
  return checkEarlier(request.earlier, now);
}

}  // namespace multinet::agent::resolve
