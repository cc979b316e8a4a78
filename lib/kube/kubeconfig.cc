// kubeconfig as kubectl reads it: client-go's tools/clientcmd is the rule.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "lib/base/encoding.h"
#include "lib/base/fd.h"
#include "lib/kube/config.h"

namespace multinet::kube {
namespace {

constexpr const char* kClusterExtension = "client.authentication.k8s.io/exec";

tl::unexpected<Error> bad(const std::string& file, const std::string& what) {
  return fail(Code::InvalidArgument, "BadKubeconfig", "load kubeconfig \"" + file + "\": " + what);
}

struct File {
  std::string path;
  YAML::Node root;
};

/// One named cluster, user or context, or a map below it, and where it stands.
class Entry {
 public:
  Entry(const File& file, std::string what, const YAML::Node& fields)
      : file_(&file), what_(std::move(what)), fields_(fields) {}

  [[nodiscard]] tl::unexpected<Error> refuse(const std::string& why) const {
    return bad(file_->path, what_ + ": " + why);
  }
  [[nodiscard]] bool has(const char* field) const {
    const YAML::Node found = get(field);
    return found && !found.IsNull();
  }
  [[nodiscard]] YAML::Node get(const char* field) const {
    const YAML::Node& fields = fields_;  // of a constant one, asking makes no field
    return fields[field];
  }
  /// Empty where it is missing.
  [[nodiscard]] Result<std::string> text(const std::string& field) const {
    const YAML::Node found = get(field.c_str());
    if (!found || found.IsNull()) return std::string();
    if (!found.IsScalar()) return refuse(field + " must be a text");
    return found.Scalar();
  }
  [[nodiscard]] Result<bool> flag(const char* field) const {
    if (!has(field)) return false;
    bool value = false;
    if (YAML::convert<bool>::decode(get(field), value)) return value;
    return refuse(std::string(field) + " must be true or false");
  }
  /// The path of a field, relative to the file that has it.
  [[nodiscard]] Result<std::string> path(const std::string& field) const {
    MULTINET_TRY(const auto named, text(field));
    return named.empty() ? named : resolved(named);
  }
  [[nodiscard]] std::string resolved(const std::string& path) const {
    return (std::filesystem::path(file_->path).parent_path() / path).string();
  }
  /// `<field>-data` inline, or `<field>` as a file.
  [[nodiscard]] Result<Material> material(const std::string& field) const {
    Material found;
    MULTINET_TRY(const auto inlined, text(field + "-data"));
    MULTINET_TRY(found.file, path(field));
    if (inlined.empty()) return found;
    if (!found.file.empty()) {
      return refuse(field + " \"" + found.file + "\" and " + field +
                    "-data are both there; take one out");
    }
    std::string compact;  // YAML folds long texts
    std::ranges::copy_if(inlined, std::back_inserter(compact),
                         [](char c) { return c != '\n' && c != '\r'; });
    auto decoded = decodeBase64(compact);
    if (!decoded) return refuse(field + "-data isn't base64; write it as `base64 -w0` does");
    found.inlined = *std::move(decoded);
    return found;
  }
  [[nodiscard]] Entry below(const char* field) const {
    return {*file_, what_ + ": " + field, get(field)};
  }

 private:
  const File* file_;
  std::string what_;
  YAML::Node fields_;
};

/// The entry of that name in the first file that has one.
Result<Entry> find(const std::vector<File>& files, const char* list, const char* part,
                   const std::string& name) {
  for (const auto& file : files) {
    const YAML::Node& root = file.root;
    const YAML::Node entries = root[list];
    if (!entries || entries.IsNull()) continue;
    if (!entries.IsSequence()) return bad(file.path, std::string(list) + " must be a list");
    std::optional<YAML::Node> found;
    for (const auto& candidate : entries) {
      if (!candidate.IsMap()) continue;
      const YAML::Node& one = candidate;
      const YAML::Node called = one["name"];
      if (!called || !called.IsScalar() || called.Scalar() != name) continue;
      if (found) {
        return bad(file.path,
                   std::string(list) + " has two entries \"" + name + "\"; take one out");
      }
      found = one[part];
    }
    if (!found) continue;
    const std::string what = std::string(part) + " \"" + name + "\"";
    if (!*found || found->IsNull()) return Entry(file, what, YAML::Node(YAML::NodeType::Map));
    if (!found->IsMap()) return bad(file.path, what + " must be a map");
    return Entry(file, what, *found);
  }
  return bad(files.front().path, "there is no entry \"" + name + "\" in " + list +
                                     (files.size() > 1 ? " of this file or those after it" : ""));
}

/// A proxy's URL without who may use it.
std::string withoutUser(std::string url) {
  const auto begin = url.find("//");
  const auto at = url.find('@');
  if (begin != std::string::npos && at != std::string::npos) url.erase(begin + 2, at - begin - 1);
  return url;
}

/// Refuses what the transport can't serve.
Status checkServer(const Entry& cluster, const std::string& server) {
  const auto refuse = [&](const std::string& why) -> Status {
    return cluster.refuse("server \"" + server + "\" " + why);
  };
  if (server.empty()) return refuse("names nobody; give https://HOST:PORT");
  if (!server.starts_with("https://") && !server.starts_with("http://")) {
    return refuse("is no https:// or http:// URL; give https://HOST:PORT");
  }
  if (server.find('[') != std::string::npos) {
    return refuse(
        "is an IPv6 literal, which isn't served; give a name that resolves to it, such as "
        "https://kubernetes:6443");
  }
  if (server.find_first_of(" \t\r\n\"<>?#@") != std::string::npos) {
    return refuse("holds a character that no server's URL has; give https://HOST:PORT");
  }
  return {};
}

Status readCluster(const Entry& cluster, Config& config) {
  MULTINET_TRY(config.server, cluster.text("server"));
  while (config.server.ends_with('/')) config.server.pop_back();
  MULTINET_CHECK(checkServer(cluster, config.server));
  MULTINET_TRY(const auto proxy, cluster.text("proxy-url"));
  if (!proxy.empty()) {
    return cluster.refuse("proxy-url \"" + withoutUser(proxy) +
                          "\" isn't served; take it out and let server name where the API server, "
                          "or a tunnel to it, is reached directly");
  }
  MULTINET_TRY(const bool isBlind, cluster.flag("insecure-skip-tls-verify"));
  if (isBlind) {
    return cluster.refuse(
        "insecure-skip-tls-verify \"true\" isn't served, since anybody could answer; give "
        "certificate-authority, and tls-server-name where the certificate has another name");
  }
  if (!config.server.starts_with("https://")) return {};
  MULTINET_TRY(config.serverName, cluster.text("tls-server-name"));
  MULTINET_TRY(config.certificateAuthority, cluster.material("certificate-authority"));
  if (config.certificateAuthority.empty()) {
    return cluster.refuse(
        "there is no certificate-authority, and the system's aren't trusted unasked; give "
        "certificate-authority: /etc/ssl/certs/ca-certificates.crt to trust them");
  }
  return {};
}

Result<std::vector<std::string>> textsOf(const Entry& entry, const char* field) {
  std::vector<std::string> texts;
  if (!entry.has(field)) return texts;
  const YAML::Node list = entry.get(field);
  if (!list.IsSequence()) return entry.refuse(std::string(field) + " must be a list of texts");
  for (const auto& one : list) {
    if (!one.IsScalar()) return entry.refuse(std::string(field) + " must be a list of texts");
    texts.push_back(one.Scalar());
  }
  return texts;
}

Result<ExecPlugin> readExec(const Entry& exec) {
  ExecPlugin plugin;
  MULTINET_TRY(plugin.apiVersion, exec.text("apiVersion"));
  constexpr std::string_view kNewest = "client.authentication.k8s.io/v1";
  if (plugin.apiVersion != kNewest && plugin.apiVersion != "client.authentication.k8s.io/v1beta1") {
    return exec.refuse("apiVersion \"" + plugin.apiVersion + "\" isn't served; use " +
                       std::string(kNewest));
  }
  MULTINET_TRY(plugin.command, exec.text("command"));
  if (plugin.command.empty()) return exec.refuse("command is missing; name the plugin's program");
  // As kubectl: a bare name is looked up on the PATH.
  if (plugin.command.find('/') != std::string::npos) plugin.command = exec.resolved(plugin.command);
  MULTINET_TRY(plugin.arguments, textsOf(exec, "args"));
  MULTINET_TRY(plugin.installHint, exec.text("installHint"));
  MULTINET_TRY(plugin.providesCluster, exec.flag("provideClusterInfo"));
  MULTINET_TRY(auto mode, exec.text("interactiveMode"));
  if (mode.empty() && plugin.apiVersion != kNewest) mode = "IfAvailable";
  if (mode == "Always") {
    return exec.refuse(
        "interactiveMode \"Always\" isn't served, since a plugin gets no terminal from us; use "
        "IfAvailable or Never");
  }
  if (mode != "IfAvailable" && mode != "Never") {
    return exec.refuse("interactiveMode \"" + mode + "\" must be IfAvailable or Never");
  }
  if (!exec.has("env")) return plugin;
  for (const auto& variable : exec.get("env")) {
    const YAML::Node& one = variable;
    if (!one.IsMap() || !one["name"] || !one["name"].IsScalar() || one["name"].Scalar().empty()) {
      return exec.refuse("env has an entry without a name");
    }
    const YAML::Node value = one["value"];
    plugin.environment.emplace_back(one["name"].Scalar(),
                                    value && value.IsScalar() ? value.Scalar() : std::string());
  }
  return plugin;
}

bool hasExtension(const Entry& cluster) {
  const YAML::Node extensions = cluster.get("extensions");
  if (!extensions || !extensions.IsSequence()) return false;
  return std::any_of(extensions.begin(), extensions.end(), [](const YAML::Node& one) {
    return one.IsMap() && one["name"] && one["name"].IsScalar() &&
           one["name"].Scalar() == kClusterExtension;
  });
}

Status readUser(const Entry& user, const Entry& cluster, Config& config) {
  for (const auto* field : {"username", "password"}) {
    if (user.has(field)) {
      return user.refuse(
          std::string(field) +
          " isn't served, and API servers since 1.19 know no passwords; use a client "
          "certificate, token, tokenFile or exec");
    }
  }
  for (const auto* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user.has(field)) {
      return user.refuse(std::string(field) +
                         " isn't served; use the credentials of whom you want to act as");
    }
  }
  if (user.has("auth-provider")) {
    return user.refuse("auth-provider isn't served, nor by kubectl since 1.26; use exec");
  }
  MULTINET_TRY(config.clientCertificate, user.material("client-certificate"));
  MULTINET_TRY(config.clientKey, user.material("client-key"));
  if (config.clientCertificate.empty() != config.clientKey.empty()) {
    return user.refuse(std::string("client-certificate and client-key go together; give ") +
                       (config.clientKey.empty() ? "client-key" : "client-certificate") + " too");
  }
  MULTINET_TRY(config.token.inlined, user.text("token"));
  MULTINET_TRY(config.token.file, user.path("tokenFile"));
  // As kubectl: a plugin isn't asked who we are where that is known.
  if (!user.has("exec") || !config.token.empty() || !config.clientCertificate.empty()) return {};
  if (!user.get("exec").IsMap()) return user.refuse("exec must be a map");
  MULTINET_TRY(config.exec, readExec(user.below("exec")));
  if (config.exec->providesCluster && hasExtension(cluster)) {
    return cluster.refuse(std::string("the extension \"") + kClusterExtension +
                          "\" isn't handed to plugins; take it out, or provideClusterInfo");
  }
  return {};
}

Result<std::string> currentContext(const std::vector<File>& files) {
  for (const auto& file : files) {
    const Entry root(file, "its top", file.root);
    MULTINET_TRY(auto context, root.text("current-context"));
    if (!context.empty()) return context;
  }
  return bad(files.front().path,
             "there is no current-context and none was asked for; choose one by `kubectl config "
             "use-context`");
}

Result<Config> read(const std::vector<File>& files, std::string context) {
  if (context.empty()) {
    MULTINET_TRY(context, currentContext(files));
  }
  MULTINET_TRY(const auto chosen, find(files, "contexts", "context", context));
  Config config;
  MULTINET_TRY(const auto nameSpace, chosen.text("namespace"));
  if (!nameSpace.empty()) config.nameSpace = nameSpace;
  MULTINET_TRY(const auto clusterName, chosen.text("cluster"));
  MULTINET_TRY(const auto cluster, find(files, "clusters", "cluster", clusterName));
  MULTINET_CHECK(readCluster(cluster, config));
  MULTINET_TRY(const auto userName, chosen.text("user"));
  // As kubectl: whoever can listen must not get a credential.
  if (userName.empty() || config.server.starts_with("http://")) return config;
  MULTINET_TRY(const auto user, find(files, "users", "user", userName));
  MULTINET_CHECK(readUser(user, cluster, config));
  return config;
}

Result<File> parse(std::string_view text, const std::string& path) {
  File file{path, YAML::Load(std::string(text))};
  if (file.root.IsNull()) file.root = YAML::Node(YAML::NodeType::Map);
  if (!file.root.IsMap()) return bad(path, "it is no YAML map");
  return file;
}

/// yaml-cpp throws.
template <class Work>
auto caught(const std::string& path, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return bad(path, error.what());
  }
}

}  // namespace

Result<Config> parseKubeconfig(std::string_view yaml, const std::string& context,
                               const std::filesystem::path& file) {
  return caught(file.string(), [&]() -> Result<Config> {
    MULTINET_TRY(auto parsed, parse(yaml, file.string()));
    return read({std::move(parsed)}, context);
  });
}

Result<Config> loadKubeconfig(const std::string& path, const std::string& context) {
  if (path.empty()) return bad(path, "its path is empty; name a file");
  auto text = readFile(path);
  if (!text) return bad(path, text.error().message);
  return parseKubeconfig(*text, context, std::filesystem::absolute(path));
}

Result<Config> loadKubeconfigs(const std::string& paths, const std::string& context) {
  std::vector<File> files;
  std::set<std::string> seen;
  for (std::size_t begin = 0; begin <= paths.size();) {
    const auto end = std::min(paths.find(':', begin), paths.size());
    const auto path = paths.substr(begin, end - begin);
    begin = end + 1;
    if (path.empty() || !seen.insert(path).second) continue;
    const auto text = readFile(path);
    if (!text && text.error().code == Code::NotFound) continue;
    if (!text) return bad(path, text.error().message);
    MULTINET_TRY(auto file, caught(path, [&] {
                   return parse(*text, std::filesystem::absolute(path).string());
                 }));
    files.push_back(std::move(file));
  }
  if (files.empty()) {
    return fail(Code::NotFound, "NoKubeconfig",
                "load kubeconfig \"" + paths +
                    "\": there is no such file; name one by --kubeconfig or KUBECONFIG");
  }
  return caught(files.front().path, [&] { return read(files, context); });
}

}  // namespace multinet::kube
