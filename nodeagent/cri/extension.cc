#include "nodeagent/cri/extension.h"

#include <google/protobuf/util/json_util.h>

#include "nodeagent/cri/messages.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;

constexpr unsigned kVarint = 0;
constexpr unsigned kLengthDelimited = 2;

void putVarint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) out.push_back(static_cast<char>(value | 0x80U));
  out.push_back(static_cast<char>(value));
}

std::string extension(const google::protobuf::Message& message) {
  return wireField(kExtensionField, message.SerializeAsString());
}

/// Fields of a PodSandboxStatus.
std::string sandboxFields(const std::vector<InterfaceStatus>& interfaces,
                          const std::string& bootId) {
  return wireField(subset::PodSandboxStatus::kNetworkFieldNumber,
                   extension(statusOf(interfaces, bootId)));
}

std::string notReady() {
  return wireVarint(subset::PodSandboxStatus::kStateFieldNumber, subset::SANDBOX_NOTREADY);
}

}  // namespace

std::string wireField(unsigned number, std::string_view content) {
  std::string out;
  putVarint(out, (std::uint64_t{number} << 3U) | kLengthDelimited);
  putVarint(out, content.size());
  return out.append(content);
}

std::string wireVarint(unsigned number, std::uint64_t value) {
  std::string out;
  putVarint(out, (std::uint64_t{number} << 3U) | kVarint);
  putVarint(out, value);
  return out;
}

std::string runRequestSuffix(const std::vector<InterfacePlan>& interfaces) {
  return wireField(subset::RunPodSandboxRequest::kConfigFieldNumber,
                   extension(configOf(interfaces)));
}

std::string runReplySuffix(const std::vector<InterfaceStatus>& interfaces,
                           const std::string& bootId) {
  return extension(statusOf(interfaces, bootId));
}

std::string statusSuffix(const std::vector<InterfaceStatus>& interfaces,
                         const std::string& bootId) {
  return wireField(subset::PodSandboxStatusResponse::kStatusFieldNumber,
                   sandboxFields(interfaces, bootId));
}

std::string eventSuffix(const std::vector<InterfaceStatus>& interfaces, const std::string& bootId) {
  return wireField(subset::ContainerEventResponse::kPodSandboxStatusFieldNumber,
                   sandboxFields(interfaces, bootId));
}

std::string eventNotReadySuffix() {
  return wireField(subset::ContainerEventResponse::kPodSandboxStatusFieldNumber, notReady());
}

std::string verboseSuffix(const std::vector<InterfaceStatus>& interfaces,
                          const std::string& bootId) {
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(statusOf(interfaces, bootId), &json).ok()) {
    return {};
  }
  constexpr unsigned kMapKey = 1;
  constexpr unsigned kMapValue = 2;
  return wireField(subset::PodSandboxStatusResponse::kInfoFieldNumber,
                   wireField(kMapKey, "multinet") + wireField(kMapValue, json));
}

std::string notReadySuffix() {
  return wireField(subset::PodSandboxStatusResponse::kStatusFieldNumber, notReady());
}

std::string nodeStatusSuffix(std::string_view reason, std::string_view message) {
  subset::RuntimeCondition condition;
  condition.set_type("MultiNetworkReady");
  condition.set_status(reason.empty());
  condition.set_reason(std::string(reason));
  condition.set_message(std::string(message));
  return wireField(subset::StatusResponse::kStatusFieldNumber,
                   wireField(subset::RuntimeStatus::kConditionsFieldNumber,
                             condition.SerializeAsString())) +
         extension(features());
}

}  // namespace multinet::agent::cri
