// kubectl-multinet: networks, interfaces of pods, networks on nodes, and what a pod would get.
//
// Exit codes: 0 done; 1 `explain` found a refusal; 2 it couldn't be done.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "cli/explain.h"
#include "cli/views.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/kube/client.h"

namespace {

using namespace multinet;
using nlohmann::json;

constexpr auto kVersion = "0.1.0";
constexpr int kRefused = 1;
constexpr int kFailed = 2;

struct Arguments {
  std::string kubeconfig;
  std::string context;
  std::string format = "table";
  std::string nameSpace;
  bool allNamespaces = false;
  std::string file;
};

struct Session {
  std::unique_ptr<kube::Client> client;
  std::string nameSpace;
  cli::Format format = cli::Format::Table;
};

Result<Session> open(const Arguments& arguments) {
  MULTINET_TRY(const auto format, cli::parseFormat(arguments.format));
  MULTINET_TRY(auto config, kube::loadConfig(arguments.kubeconfig, arguments.context));
  config.userAgent = "kubectl-multinet";
  Session session;
  session.format = format;
  session.nameSpace = arguments.nameSpace.empty() ? config.nameSpace : arguments.nameSpace;
  MULTINET_TRY(session.client, kube::connect(config));
  return session;
}

/// All objects of a kind, as the server sent them.
Result<json> fetch(Session& session, const kube::Kind& kind, const std::string& nameSpace) {
  json items = json::array();
  MULTINET_TRY(const auto revision,
               kube::listAll(session.client->raw(), kind, {nameSpace, "", ""}, {},
                             [&](const simdjson::dom::element& object) -> Status {
                               auto item = json::parse(simdjson::minify(object), nullptr, false);
                               // Nobody reads these; kubectl leaves them out too.
                               if (item.contains("metadata"))
                                 item["metadata"].erase("managedFields");
                               items.push_back(std::move(item));
                               return {};
                             }));
  static_cast<void>(revision);
  return items;
}

void print(const Session& session, const json& items, const cli::Table& table) {
  const json document = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", items}};
  switch (session.format) {
    case cli::Format::Json:
      std::cout << document.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
      return;
    case cli::Format::Yaml:
      std::cout << cli::toYaml(document);
      return;
    case cli::Format::Table:
    case cli::Format::Wide:
      break;
  }
  if (table.rows.empty()) {
    std::cerr << "none found\n";
    return;
  }
  std::cout << cli::render(table, session.format, cli::colourOf(STDOUT_FILENO));
}

Result<int> networks(const Arguments& arguments) {
  MULTINET_TRY(auto session, open(arguments));
  MULTINET_TRY(const auto items, fetch(session, kube::kindOf<api::PodNetwork>(), ""));
  print(session, items, cli::networksTable(items, SystemClock().wall()));
  return 0;
}

Result<int> pods(const Arguments& arguments) {
  MULTINET_TRY(auto session, open(arguments));
  const kube::Kind kind{"multinet.dev", "v1alpha1", "podinterfacesets", "PodInterfaceSet"};
  MULTINET_TRY(const auto items,
               fetch(session, kind, arguments.allNamespaces ? "" : session.nameSpace));
  print(session, items, cli::podsTable(items, SystemClock().wall()));
  return 0;
}

Result<int> nodes(const Arguments& arguments) {
  MULTINET_TRY(auto session, open(arguments));
  const kube::Kind kind{"multinet.dev", "v1alpha1", "nodenetworksets", "NodeNetworkSet",
                        kube::Scope::Cluster};
  MULTINET_TRY(const auto items, fetch(session, kind, ""));
  print(session, items, cli::nodesTable(items));
  return 0;
}

Result<int> explain(const Arguments& arguments) {
  const auto path = arguments.file == "-" ? std::string("/dev/stdin") : arguments.file;
  MULTINET_TRY(const auto text, readFile(path));
  MULTINET_TRY(auto session, open(arguments));
  MULTINET_TRY(const auto manifest, cli::readManifest(text, session.nameSpace));
  MULTINET_TRY(auto networks, session.client->list<api::PodNetwork>());
  MULTINET_TRY(auto attachments, session.client->list<api::PodNetworkAttachment>());
  const kube::Kind kind{"", "v1", "namespaces", "Namespace", kube::Scope::Cluster};
  MULTINET_TRY(const auto namespaces, fetch(session, kind, ""));
  std::map<std::string, k8s::StringMap, std::less<>> labels;
  for (const auto& one : namespaces) {
    const auto& metadata = one.at("metadata");
    labels[metadata.value("name", "")] = metadata.value("labels", k8s::StringMap());
  }
  const cli::ListedCatalog catalog(std::move(networks), std::move(attachments), std::move(labels));
  int code = 0;
  for (const auto& pod : manifest) {
    const auto explanation = api::explain(pod.subject, catalog);
    std::cout << cli::describeExplanation(pod, explanation);
    if (!explanation.report.ok()) code = kRefused;
  }
  return code;
}

using Verb = Result<int> (*)(const Arguments&);

int run(const Arguments& arguments, Verb verb) {
  const auto code = verb(arguments);
  if (code.has_value()) return *code;
  std::cerr << "error: " << code.error().message << "\n";
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Networks of pods, as Multinet knows them", "kubectl multinet"};
  app.require_subcommand(1);
  app.add_option("--kubeconfig", arguments.kubeconfig, "File; without it as kubectl finds it");
  app.add_option("--context", arguments.context, "Context of the kubeconfig");
  Verb verb = nullptr;
  const auto listing = [&](const char* name, const char* help, Verb does) {
    auto* made = app.add_subcommand(name, help)->fallthrough();
    made->add_option("-o,--output", arguments.format, "table, wide, json or yaml")
        ->capture_default_str();
    made->callback([&verb, does] { verb = does; });
    return made;
  };
  listing("networks", "Networks, whether they can be used, and why not", networks);
  auto* listPods = listing("pods", "Interfaces of pods", pods);
  listPods->add_option("-n,--namespace", arguments.nameSpace, "Namespace of the pods");
  listPods->add_flag("-A,--all-namespaces", arguments.allNamespaces, "Pods of all namespaces");
  listing("nodes", "What each node measured of each network", nodes);
  auto* explains = app.add_subcommand("explain", "What a pod would get, or why it is refused");
  explains->fallthrough()
      ->add_option("-f,--filename", arguments.file, "Manifest; - for stdin")
      ->required();
  explains->add_option("-n,--namespace", arguments.nameSpace, "Where the manifest names none");
  explains->callback([&verb] { verb = explain; });
  app.add_subcommand("version", "The version")->callback([] {
    std::cout << "kubectl-multinet " << kVersion << "\n";
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kFailed;
  }
  // Warnings of the client's own retries stay out of a person's table.
  log::init(log::Format::Text, log::Level::Error);
  return verb == nullptr ? 0 : run(arguments, verb);
}
