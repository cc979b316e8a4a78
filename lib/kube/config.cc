#include "lib/kube/config.h"

#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <vector>

#include "lib/base/fd.h"

namespace multinet::kube {
namespace {

tl::unexpected<Error> bad(const std::string& what) {
  return fail(Code::InvalidArgument, "BadKubeconfig", "load kubeconfig: " + what);
}

Result<std::string> decodeBase64(const std::string& text, const std::string& field) {
  std::string compact;
  for (const char c : text) {
    if (c != '\n' && c != '\r' && c != ' ') compact.push_back(c);
  }
  if (compact.size() % 4 != 0)
    return bad(field + " isn't base64: its length isn't a multiple of 4");
  std::vector<unsigned char> out(compact.size() / 4 * 3 + 1);
  const int size =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(compact.data()),
                      static_cast<int>(compact.size()));
  if (size < 0) return bad(field + " isn't base64");
  std::string decoded(out.begin(), out.begin() + size);
  // EVP_DecodeBlock counts the padding as bytes.
  for (auto i = compact.size(); i > 0 && compact[i - 1] == '='; --i) decoded.pop_back();
  return decoded;
}

/// The text of a scalar, or empty. yaml-cpp throws where a map is read as text; the caller catches.
std::string text(const YAML::Node& map, const char* key) {
  const YAML::Node node = map[key];
  return node && node.IsScalar() ? node.Scalar() : std::string();
}

/// The entry called `name` in the list `list`, its part `part`.
Result<YAML::Node> entry(const std::vector<YAML::Node>& documents, const char* list,
                         const char* part, const std::string& name) {
  for (const auto& document : documents) {
    const YAML::Node entries = document[list];
    if (!entries || !entries.IsSequence()) continue;
    for (const auto& candidate : entries) {
      if (candidate.IsMap() && text(candidate, "name") == name) {
        YAML::Node found = candidate[part];
        if (!found || !found.IsMap()) {
          return bad(std::string(list) + " entry \"" + name + "\" has no \"" + part + "\"");
        }
        return found;
      }
    }
  }
  return bad("there is no entry \"" + name + "\" in " + list);
}

/// `<key>-data` inline or `<key>` as a file beside the kubeconfig.
Result<Material> material(const YAML::Node& map, const std::string& key,
                          const std::filesystem::path& directory) {
  Material found;
  if (const auto inlined = text(map, (key + "-data").c_str()); !inlined.empty()) {
    MULTINET_TRY(found.inlined, decodeBase64(inlined, key + "-data"));
  } else if (const auto file = text(map, key.c_str()); !file.empty()) {
    found.file = (directory / file).string();
  }
  return found;
}

/// Refuses what the transport can't serve, at load and in one sentence.
Status checkServer(const std::string& server) {
  const bool https = server.starts_with("https://");
  if (!https && !server.starts_with("http://")) {
    return bad("server \"" + server + "\" is no https:// or http:// URL");
  }
  if (server.find('[') != std::string::npos) {
    return bad("server \"" + server +
               "\" is an IPv6 literal, which isn't served; give the server a name");
  }
  if (server.find_first_of(" \t\r\n\"<>?#", 0) != std::string::npos) {
    return bad("server \"" + server + "\" holds a character that no URL of a server has");
  }
  return {};
}

Status readCluster(const YAML::Node& cluster, const std::filesystem::path& directory,
                   Config& config) {
  config.server = text(cluster, "server");
  while (config.server.ends_with('/')) config.server.pop_back();
  MULTINET_CHECK(checkServer(config.server));
  if (text(cluster, "insecure-skip-tls-verify") == "true") {
    return bad("insecure-skip-tls-verify isn't served; give certificate-authority");
  }
  for (const auto* refused : {"tls-server-name", "proxy-url"}) {
    if (!text(cluster, refused).empty()) return bad(std::string(refused) + " isn't served");
  }
  MULTINET_TRY(config.certificateAuthority, material(cluster, "certificate-authority", directory));
  if (config.server.starts_with("https://") && config.certificateAuthority.empty()) {
    return bad("the cluster has no certificate-authority; system CAs aren't trusted");
  }
  return {};
}

Status readUser(const YAML::Node& user, const std::filesystem::path& directory, Config& config) {
  for (const auto* refused : {"exec", "auth-provider", "username", "as"}) {
    if (user[refused]) {
      return bad("user field \"" + std::string(refused) +
                 "\" isn't served; use client certificates, token or tokenFile");
    }
  }
  MULTINET_TRY(config.clientCertificate, material(user, "client-certificate", directory));
  MULTINET_TRY(config.clientKey, material(user, "client-key", directory));
  if (config.clientCertificate.empty() != config.clientKey.empty()) {
    return bad("client-certificate and client-key go together; one of them is missing");
  }
  // As kubectl does: the file wins, since it is the one that rotates.
  if (const auto file = text(user, "tokenFile"); !file.empty()) {
    config.token.file = (directory / file).string();
  } else {
    config.token.inlined = text(user, "token");
  }
  return {};
}

struct Document {
  YAML::Node root;
  std::filesystem::path directory;
};

Result<Config> fromDocuments(const std::vector<Document>& documents, std::string context) {
  std::vector<YAML::Node> roots;
  for (const auto& document : documents) {
    if (!document.root.IsMap()) return bad("it is no YAML map");
    roots.push_back(document.root);
    if (context.empty()) context = text(document.root, "current-context");
  }
  if (context.empty()) return bad("it names no current-context and none was asked for");
  MULTINET_TRY(const auto chosen, entry(roots, "contexts", "context", context));
  Config config;
  if (const auto nameSpace = text(chosen, "namespace"); !nameSpace.empty()) {
    config.nameSpace = nameSpace;
  }
  // Relative files are relative to the file that names them.
  const auto directoryOf = [&](const char* list, const std::string& name) {
    for (const auto& document : documents) {
      if (entry({document.root}, list, list == std::string("users") ? "user" : "cluster", name)) {
        return document.directory;
      }
    }
    return documents.front().directory;
  };
  const auto clusterName = text(chosen, "cluster");
  const auto userName = text(chosen, "user");
  MULTINET_TRY(const auto cluster, entry(roots, "clusters", "cluster", clusterName));
  MULTINET_CHECK(readCluster(cluster, directoryOf("clusters", clusterName), config));
  MULTINET_TRY(const auto user, entry(roots, "users", "user", userName));
  MULTINET_CHECK(readUser(user, directoryOf("users", userName), config));
  return config;
}

}  // namespace

Result<std::string> Material::read() const {
  if (file.empty()) return inlined;
  return readFile(file);
}

Result<Config> parseKubeconfig(std::string_view yaml, const std::string& context,
                               const std::filesystem::path& directory) {
  try {
    return fromDocuments({{YAML::Load(std::string(yaml)), directory}}, context);
  } catch (const std::exception& error) {
    return bad(error.what());
  }
}

Result<Config> loadKubeconfig(const std::string& path, const std::string& context) {
  std::vector<Document> documents;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    const auto file = path.substr(begin, end - begin);
    begin = end + 1;
    if (file.empty()) continue;
    MULTINET_TRY(const auto content, readFile(file));
    try {
      documents.push_back({YAML::Load(content), std::filesystem::path(file).parent_path()});
    } catch (const std::exception& error) {
      return bad("\"" + file + "\": " + error.what());
    }
  }
  if (documents.empty()) return bad("the path is empty");
  try {
    return fromDocuments(documents, context);
  } catch (const std::exception& error) {
    return bad("\"" + path + "\": " + error.what());
  }
}

Result<Config> inClusterConfig(const std::string& host, const std::string& port,
                               const std::filesystem::path& root) {
  if (host.empty() || port.empty()) {
    return fail(Code::FailedPrecondition, "NotInCluster",
                "load in-cluster configuration: KUBERNETES_SERVICE_HOST or _PORT isn't set");
  }
  const auto account = root / "var/run/secrets/kubernetes.io/serviceaccount";
  Config config;
  // An IPv6 literal can't be served; the API server's certificate has this name as well.
  const bool literal = host.find(':') != std::string::npos;
  config.server = "https://" + (literal ? "kubernetes.default.svc" : host) + ":" + port;
  MULTINET_CHECK(checkServer(config.server));
  config.certificateAuthority.file = (account / "ca.crt").string();
  config.token.file = (account / "token").string();
  MULTINET_TRY(config.nameSpace, readFile((account / "namespace").string()));
  MULTINET_CHECK(config.certificateAuthority.read());
  MULTINET_CHECK(config.token.read());
  return config;
}

Result<Config> loadConfig(const std::string& kubeconfig, const std::string& context) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (!kubeconfig.empty()) return loadKubeconfig(kubeconfig, context);
  if (const auto path = variable("KUBECONFIG"); !path.empty()) return loadKubeconfig(path, context);
  if (const auto host = variable("KUBERNETES_SERVICE_HOST"); !host.empty()) {
    return inClusterConfig(host, variable("KUBERNETES_SERVICE_PORT"));
  }
  return loadKubeconfig(variable("HOME") + "/.kube/config", context);
}

}  // namespace multinet::kube
