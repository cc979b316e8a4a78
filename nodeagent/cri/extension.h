// Puts our extension into CRI messages as wire bytes. Protobuf merges a second occurrence of a
// message field into the first, so appending says all that is to be said, and nothing that isn't
// ours is ever serialized again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nodeagent/model/interface.h"

namespace multinet::agent::cri {

/// The one number of our extension, in every carrier (see proto/cri-multinet/v1alpha1).
inline constexpr unsigned kExtensionField = 53698;

/// Bytes of one length-delimited field: tag, length, content.
[[nodiscard]] std::string wireField(unsigned number, std::string_view content);
/// Bytes of one varint field.
[[nodiscard]] std::string wireVarint(unsigned number, std::uint64_t value);

/// To append to a RunPodSandboxRequest: what the sandbox is to get, inside its config.
[[nodiscard]] std::string runRequestSuffix(const std::vector<InterfacePlan>& interfaces);
/// To append to a RunPodSandboxResponse: what it got.
[[nodiscard]] std::string runReplySuffix(const std::vector<InterfaceStatus>& interfaces,
                                         const std::string& bootId);
/// To append to a PodSandboxStatusResponse: the extension inside status.network.
[[nodiscard]] std::string statusSuffix(const std::vector<InterfaceStatus>& interfaces,
                                       const std::string& bootId);
/// To append to a ContainerEventResponse that has a pod_sandbox_status: the same in there.
[[nodiscard]] std::string eventSuffix(const std::vector<InterfaceStatus>& interfaces,
                                      const std::string& bootId);
/// To append to such a ContainerEventResponse: the state NOTREADY.
[[nodiscard]] std::string eventNotReadySuffix();
/// To append to a PodSandboxStatusResponse: `info["multinet"]`, JSON for people.
[[nodiscard]] std::string verboseSuffix(const std::vector<InterfaceStatus>& interfaces,
                                        const std::string& bootId);
/// To append to a PodSandboxStatusResponse: the state NOTREADY.
[[nodiscard]] std::string notReadySuffix();
/// To append to a StatusResponse: the condition MultiNetworkReady and our features.
[[nodiscard]] std::string nodeStatusSuffix(std::string_view reason, std::string_view message);

}  // namespace multinet::agent::cri
