#include "cli/listing.h"

#include <algorithm>

#include "cli/jsonpath.h"
#include "cli/nearest.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "lib/kube/lines.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestLine = std::size_t{8} << 20U;
/// The server ends a watch before this; then it is asked for the rest.
constexpr std::chrono::minutes kPatience(15);

std::string lowered(std::string_view word) {
  std::string out(word);
  std::ranges::transform(out, out.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return out;
}

/// `podnetwork.multinet.dev/blue`.
std::string resourceName(const kube::Kind& kind, const json& item) {
  const std::string group = kind.group.empty() ? "" : "." + std::string(kind.group);
  return lowered(kind.kind) + group + "/" + nameOf(item);
}

json documentOf(const Call& call, const json& items) {
  const bool one = call.arguments().operands.size() == 1 && items.size() == 1;
  if (one) return items.front();
  return {{"apiVersion", "v1"}, {"kind", "List"}, {"items", items}};
}

/// Prints what a watch tells.
class Follower {
 public:
  Follower(Call& call, const Listing& listing, Output output, std::vector<std::size_t> widths)
      : call_(call), listing_(listing), output_(std::move(output)), widths_(std::move(widths)) {}

  Status run(std::string revision) {
    MULTINET_TRY(auto* raw, call_.client());
    revision_ = std::move(revision);
    while (true) {
      kube::LineSplitter lines(kLongestLine);
      const auto ended = raw->transport().stream(
          {kube::Method::Get, target(), "", ""}, [] { return Duration(kPatience); },
          [&](std::string_view bytes) {
            return lines.feed(bytes, [this](std::string_view line) { return take(line); });
          },
          {});
      if (!ended) return fail(ended.error());
      if (ended->status != 200) return fail(kube::errorOf(*ended, "watch " + listing_.noun));
    }
  }

 private:
  [[nodiscard]] std::string target() const {
    const auto& selection = listing_.selection;
    std::string path =
        kube::pathOf(listing_.kind, {selection.nameSpace, ""}, kube::Subresource::None) +
        "?watch=1&allowWatchBookmarks=true&resourceVersion=" + kube::percentEncode(revision_);
    if (!selection.labelSelector.empty()) {
      path += "&labelSelector=" + kube::percentEncode(selection.labelSelector);
    }
    return path;
  }

  Status take(std::string_view line) {
    const auto event = json::parse(line, nullptr, false);
    const auto type = text(event, "/type");
    if (!event.is_object() || !event.contains("object")) {
      return fail(Code::DataLoss, "BadEvent", "watch " + listing_.noun + ": not an event");
    }
    json object = event.at("object");
    if (type == "ERROR") {
      return fail(Code::Aborted, "WatchEnded",
                  "watch " + listing_.noun + ": " + text(object, "/message") + "; ask again");
    }
    if (const auto now = text(object, "/metadata/resourceVersion"); !now.empty()) revision_ = now;
    if (type == "BOOKMARK" || (listing_.keep && !listing_.keep(object))) return {};
    const auto& names = call_.arguments().operands;
    if (!names.empty() && std::ranges::find(names, listing_.name(object)) == names.end()) return {};
    dropManagedFields(object);
    MULTINET_CHECK(show(object));
    call_.out().flush();
    return {};
  }

  Status show(const json& object) {
    switch (output_.format) {
      case Format::Json:
        call_.out() << toJsonText(object);
        return {};
      case Format::Yaml:
        call_.out() << "---\n" << toYaml(object);
        return {};
      case Format::Name:
        call_.out() << resourceName(listing_.kind, object) << "\n";
        return {};
      case Format::JsonPath: {
        MULTINET_TRY(const auto shown, runJsonPath(output_.jsonPath, object));
        call_.out() << shown << "\n";
        return {};
      }
      case Format::Table:
      case Format::Wide:
        break;
    }
    Table table = listing_.table(json::array({object}), call_.clock().wall());
    table.widths = widths_;
    widths_ = widthsOf(table);
    call_.out() << renderRows(table, output_.format, call_.colour());
    return {};
  }

  Call& call_;
  const Listing& listing_;
  const Output output_;
  std::vector<std::size_t> widths_;
  std::string revision_;
};

/// Those that the operands name, in their order.
Result<json> named(const Call& call, const Listing& listing, const json& items) {
  const auto& names = call.arguments().operands;
  if (names.empty()) return items;
  json out = json::array();
  for (const std::string& name : names) {
    bool found = false;
    for (const json& item : items) {
      if (listing.name(item) != name) continue;
      out.push_back(item);
      found = true;
    }
    if (found) continue;
    std::vector<std::string> others;
    for (const json& item : items) others.push_back(listing.name(item));
    return fail(Code::NotFound, "NotFound",
                listing.noun + " \"" + name + "\" not found" + didYouMean(name, others));
  }
  return out;
}

}  // namespace

Status printItems(Call& call, const kube::Kind& kind, const json& items, const Table& table) {
  MULTINET_TRY(const auto output, parseOutput(call.arguments().value("output")));
  switch (output.format) {
    case Format::Json:
    case Format::Yaml:
      call.out() << toDocument(documentOf(call, items), output.format);
      return {};
    case Format::JsonPath: {
      MULTINET_TRY(const auto shown, runJsonPath(output.jsonPath, documentOf(call, items)));
      call.out() << shown << "\n";
      return {};
    }
    case Format::Name:
      for (const json& item : items) call.out() << resourceName(kind, item) << "\n";
      return {};
    case Format::Table:
    case Format::Wide:
      break;
  }
  if (table.rows.empty()) {
    call.err() << "none found\n";
    return {};
  }
  call.out() << render(table, output.format, call.colour());
  return {};
}

Result<int> runListing(Call& call, const Listing& listing) {
  MULTINET_TRY(auto output, parseOutput(call.arguments().value("output")));
  std::string revision;
  MULTINET_TRY(const auto all, call.list(listing.kind, listing.selection, &revision));
  json kept = json::array();
  for (const json& item : all) {
    if (!listing.keep || listing.keep(item)) kept.push_back(item);
  }
  MULTINET_TRY(const auto items, named(call, listing, kept));
  const Table table = listing.table(items, call.clock().wall());
  MULTINET_CHECK(printItems(call, listing.kind, items, table));
  if (!call.arguments().has("watch")) return kDone;
  call.out().flush();
  MULTINET_CHECK(Follower(call, listing, std::move(output), widthsOf(table)).run(revision));
  return kDone;
}

Result<nlohmann::json> listNetworks(Call& call) {
  const auto only = call.arguments().value("network");
  MULTINET_TRY(auto networks, call.list(kinds::kNetworks));
  if (only.empty()) return networks;
  auto one = nlohmann::json::array();
  for (auto& network : networks) {
    if (nameOf(network) == only) one.push_back(std::move(network));
  }
  if (one.empty()) return fail(Code::NotFound, "NotFound", "podnetwork \"" + only + "\" not found");
  return one;
}

Result<std::set<std::string>> selected(Call& call, const kube::Kind& kind,
                                       const std::string& nameSpace, const std::string& pointer) {
  MULTINET_TRY(const auto items,
               call.list(kind, {nameSpace, call.arguments().value("selector"), ""}));
  std::set<std::string> out;
  for (const json& item : items) out.insert(text(item, pointer));
  return out;
}

}  // namespace multinet::cli
