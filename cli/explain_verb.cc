#include <algorithm>
#include <array>
#include <map>

#include "cli/explain.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "lib/api/names.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr std::array kFlags = {
    Flag{"filename", 'f', "FILE", "Manifest; - for standard input; may be given several times",
         Names::Files},
    kNamespace};
constexpr std::array kExamples = {
    Example{"kubectl multinet explain -f pod.yaml", "before it is applied"},
    Example{"helm template shop ./chart | kubectl multinet explain -f -", "of all workloads"}};

/// What the rules look at, fetched by name: whoever may read only his own namespace asks for
/// nothing else.
class NamedCatalog final : public api::Catalog {
 public:
  explicit NamedCatalog(Call& call) : call_(call) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override {
    return look<api::PodNetwork>(networks_, {"", std::string(name)});
  }
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override {
    return look<api::PodNetworkAttachment>(attachments_,
                                           {std::string(namespaceName), std::string(name)});
  }
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    const auto found = call_.get(kinds::kNamespaces, {"", std::string(name)});
    if (!found) {
      note(found.error());
      return std::nullopt;
    }
    k8s::StringMap labels;
    const json all = found->value(json::json_pointer("/metadata/labels"), json::object());
    for (const auto& [key, value] : all.items()) {
      if (value.is_string()) labels[key] = value.get<std::string>();
    }
    return labels;
  }

  /// The attachments that choose pods of a namespace; none where it doesn't select.
  [[nodiscard]] std::vector<api::PodNetworkAttachment> selecting(const std::string& name) const {
    const auto labels = namespaceLabels(name);
    if (!labels || !api::selectsPods(name, *labels)) return {};
    const auto client = call_.client();
    if (!client) {
      note(client.error());
      return {};
    }
    std::vector<api::PodNetworkAttachment> found;
    const auto listed =
        kube::listAll(**client, kube::kindOf<api::PodNetworkAttachment>(), {name, "", ""}, {},
                      [&](const simdjson::dom::element& object) -> Status {
                        // One that can't be read chooses nobody: so the webhook has it.
                        auto one = k8s::KindTraits<api::PodNetworkAttachment>::decode(object);
                        if (one) found.push_back(std::move(*one));
                        return {};
                      });
    if (!listed) note(listed.error());
    return found;
  }

  /// The first thing that couldn't be read, an absent object aside.
  [[nodiscard]] const std::optional<Error>& trouble() const { return trouble_; }

 private:
  template <class T>
  using Known = std::map<std::pair<std::string, std::string>, std::optional<T>>;

  template <class T>
  std::optional<T> look(Known<T>& known, const kube::ObjectKey& key) const {
    const std::pair where(key.nameSpace, key.name);
    if (const auto found = known.find(where); found != known.end()) return found->second;
    auto& entry = known[where];
    const auto raw = call_.client();
    const auto body = raw ? (*raw)->get(kube::kindOf<T>(), key) : fail(raw.error());
    auto object = body ? kube::decodeJson<T>(*body) : fail(body.error());
    if (object) {
      entry = std::move(*object);
    } else {
      note(object.error());
    }
    return entry;
  }

  void note(const Error& error) const {
    if (!trouble_ && error.code != Code::NotFound) trouble_ = error;
  }

  Call& call_;
  mutable Known<api::PodNetwork> networks_;
  mutable Known<api::PodNetworkAttachment> attachments_;
  mutable std::optional<Error> trouble_;
};

/// The least pod that asks for the same and has the same labels; its name is made by the server and
/// it is never made.
json trialPod(const ManifestPod& pod) {
  const api::PodSubject& subject = pod.subject;
  json annotations = json::object();
  if (subject.request) annotations[api::kNetworksAnnotation] = *subject.request;
  if (pod.selected) annotations[api::kSelectedAnnotation] = *pod.selected;
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"generateName", "multinet-explain-"},
            {"labels", pod.labels},
            {"annotations", annotations}}},
          {"spec",
           {{"hostNetwork", subject.hostNetwork},
            {"securityContext",
             {{"runAsNonRoot", true}, {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
            {"containers",
             {{{"name", "trial"},
               {"image", "trial"},
               {"resources",
                {{"requests", {{"cpu", "1m"}, {"memory", "1Mi"}}},
                 {"limits", {{"cpu", "1m"}, {"memory", "1Mi"}}}}},
               {"securityContext",
                {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}}}}}}}}};
}

/// For who may create pods in a namespace but read no network: the server's own admission decides,
/// as it would in earnest.
Result<int> askServer(Call& call, const ManifestPod& pod) {
  MULTINET_TRY(auto* raw, call.client());
  const std::string path =
      kube::pathOf(kinds::kPods, {pod.subject.namespaceName, ""}, kube::Subresource::None);
  MULTINET_TRY(
      const auto answer,
      raw->transport().call({kube::Method::Post, path + "?dryRun=All", "",
                             trialPod(pod).dump(-1, ' ', false, json::error_handler_t::replace)},
                            raw->options().deadline));
  const json body = json::parse(answer.body, nullptr, false);
  if (answer.status == 201 || answer.status == 200) {
    const json annotations =
        body.value(json::json_pointer("/metadata/annotations"), json::object());
    const auto resolved =
        api::parseResolved(annotations.value(api::kResolvedAnnotation, std::string()));
    if (resolved && resolved->empty()) {
      call.out() << describeExplanation({pod.title, {}, {}, {}}, {});
      return kDone;
    }
    call.out() << pod.title << ": would get eth0 and\n";
    if (resolved) {
      for (const auto& one : *resolved) {
        call.out() << "  " << one.name.str() << " on network " << one.network.str() << "\n";
      }
    }
    const auto selected = annotations.value(api::kSelectedAnnotation, std::string());
    if (!selected.empty()) {
      call.out() << "  chosen by its labels: " << printable(selected) << "\n";
    }
    return kDone;
  }
  const Error error = kube::errorOf(answer, "try pod");
  const std::string message = text(body, "/message");
  const bool ours = message.find("multinet") != std::string::npos;
  if (!ours) return fail(error.within("ask the server about " + pod.title));
  call.out() << pod.title << ": would be refused\n  " << printable(message) << "\n";
  return kRefused;
}

Result<int> explainPod(Call& call, const NamedCatalog& catalog, const ManifestPod& asWritten) {
  ManifestPod pod = asWritten;
  const auto chosen = chooseFor(pod, catalog.selecting(pod.subject.namespaceName), catalog);
  auto explanation = api::explain(pod.subject, catalog);
  if (catalog.trouble()) {
    if (catalog.trouble()->code == Code::PermissionDenied) return askServer(call, asWritten);
    return fail(*catalog.trouble());
  }
  api::tellSelection(explanation.report.violations, chosen);
  call.out() << describeExplanation(pod, explanation);
  for (const auto& name : chosen.onHost) {
    call.out() << "  not chosen by attachment/" << name << ", though its podSelector matches: "
               << "spec.hostNetwork is true\n";
  }
  return explanation.report.ok() ? kDone : kRefused;
}

Result<int> run(Call& call) {
  if (!call.arguments().has("filename")) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "explain needs a manifest: kubectl multinet explain -f FILE");
  }
  MULTINET_TRY(const auto objects, readManifests(call.arguments().all("filename")));
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  MULTINET_TRY(const auto pods, podsIn(objects, nameSpace));
  const NamedCatalog catalog(call);
  int code = kDone;
  for (const auto& pod : pods) {
    MULTINET_TRY(const int one, explainPod(call, catalog, pod));
    code = std::max(code, one);
  }
  return code;
}

}  // namespace

Verb explainVerb() {
  return {.name = "explain",
          .summary = "What a pod would get, or why it is refused",
          .text =
              "Reads Pods, workloads with a pod template, CronJobs and Lists of a manifest and "
              "says of each pod which interfaces it would get, by its request or by its labels, "
              "or every refusal with the field, the wrong value and the remedy; nothing is "
              "created. Who may not read networks gets the answer of the server's admission, which "
              "needs the right to create pods "
              "in the namespace. Exit code 1: some pod would be refused.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
