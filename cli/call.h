// One call of the program: what was asked, where the answer goes, and the way to the cluster.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "cli/output.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_interface_set.h"
#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/reservations.h"
#include "lib/base/clock.h"
#include "lib/k8s/core.h"
#include "lib/kube/client.h"

namespace multinet::cli {

struct Arguments {
  std::vector<std::string> operands;
  std::map<std::string, std::vector<std::string>> values;  // of flags, by name; `true` of switches

  [[nodiscard]] bool has(const std::string& flag) const;
  /// The last one given; empty: none.
  [[nodiscard]] std::string value(const std::string& flag) const;
  /// All that were given, in their order.
  [[nodiscard]] std::vector<std::string> all(const std::string& flag) const;
};

/// Where words go. References outlive the call.
struct Streams {
  std::ostream& out;
  std::ostream& err;
  Colour colour = Colour::Never;  // of `out`
};

/// Kinds as the CLI asks for them; everything stays JSON, as the server sent it.
namespace kinds {
using kube::Kind;
inline constexpr Kind kNetworks = api::kPodNetworkKind;
inline constexpr Kind kAttachments = api::kPodNetworkAttachmentKind;
inline constexpr Kind kSets = api::kPodInterfaceSetKind;
inline constexpr Kind kServices = api::kPodNetworkServiceKind;
inline constexpr Kind kNodeSets = api::kNodeNetworkSetKind;
inline constexpr Kind kBlocks = api::kIPBlockKind;
inline constexpr Kind kCoreServices = k8s::kServiceKind;
inline constexpr Kind kSlices = k8s::kEndpointSliceKind;
inline constexpr Kind kPods = k8s::kPodKind;
inline constexpr Kind kNodes = k8s::kNodeKind;
inline constexpr Kind kNamespaces = k8s::kNamespaceKind;
inline constexpr Kind kEvents{"", "v1", "events", "Event"};
}  // namespace kinds

class Call {
 public:
  /// How long steps wait before they look again; tests let time go on in it.
  using Rest = std::function<void(Duration)>;

  Call(Arguments arguments, Streams streams, const Clock& clock, Rest rest)
      : arguments_(std::move(arguments)),
        streams_(streams),
        clock_(clock),
        rest_(std::move(rest)) {}

  [[nodiscard]] const Arguments& arguments() const { return arguments_; }
  [[nodiscard]] std::ostream& out() const { return streams_.out; }
  [[nodiscard]] std::ostream& err() const { return streams_.err; }
  [[nodiscard]] Colour colour() const { return streams_.colour; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  void rest(Duration time) const { rest_(time); }

  /// Reads the configuration and makes the client, once; no request yet.
  [[nodiscard]] Result<kube::RawClient*> client();
  /// By -n, else the context's; empty with -A.
  [[nodiscard]] Result<std::string> nameSpace();

  /// All that fit, as the server sent them, without managedFields. `revision`, where given, gets
  /// the list's.
  [[nodiscard]] Result<nlohmann::json> list(const kube::Kind& kind,
                                            const kube::Selection& selection = {},
                                            std::string* revision = nullptr);
  [[nodiscard]] Result<nlohmann::json> get(const kube::Kind& kind, const kube::ObjectKey& key);
  /// NotFound and its kin are answers here: an absent kind or object.
  [[nodiscard]] Result<bool> exists(const kube::Kind& kind, const kube::ObjectKey& key);

 private:
  [[nodiscard]] Status open();

  const Arguments arguments_;
  const Streams streams_;
  const Clock& clock_;
  const Rest rest_;
  std::unique_ptr<kube::Client> client_;
  std::string contextNamespace_;
};

}  // namespace multinet::cli
