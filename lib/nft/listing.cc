// `nft -j list table`: a list of objects, one key each (libnftables-json(5)).
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/nft/committer.h"

namespace multinet::nft {
namespace {

using nlohmann::json;

std::string text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  // Of a map: the key and what it gives.
  if (value.is_array() && value.size() == 2) return text(value[0]) + " : " + text(value[1]);
  if (value.is_object() && value.contains("prefix") && value["prefix"].is_object()) {
    const json& prefix = value["prefix"];
    return text(prefix.value("addr", json())) + "/" + text(prefix.value("len", json()));
  }
  if (value.is_object() && value.contains("range") && value["range"].is_array() &&
      value["range"].size() == 2) {
    return text(value["range"][0]) + "-" + text(value["range"][1]);
  }
  if (value.is_object() && value.contains("concat") && value["concat"].is_array()) {
    std::string joined;
    for (const json& part : value["concat"]) joined += (joined.empty() ? "" : " . ") + text(part);
    return joined;
  }
  return "?";
}

std::string member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void take(const json& item, Listing& listed) {
  const auto map = item.find("map");
  if (const auto set = map == item.end() ? item.find("set") : map;
      set != item.end() && set->is_object()) {
    auto& elements = listed.sets[member(*set, "name")];
    if (const auto list = set->find("elem"); list != set->end() && list->is_array()) {
      for (const json& element : *list) elements.insert(text(element));
    }
  } else if (const auto chain = item.find("chain"); chain != item.end() && chain->is_object()) {
    listed.comments[member(*chain, "name")];
  } else if (const auto rule = item.find("rule"); rule != item.end() && rule->is_object()) {
    listed.comments[member(*rule, "chain")].push_back(member(*rule, "comment"));
  } else if (const auto counter = item.find("counter");
             counter != item.end() && counter->is_object()) {
    listed.counters.insert(member(*counter, "name"));
  }
}

std::uint64_t packetsOf(const json& object) {
  const auto found = object.find("packets");
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

/// `{"elem": {"val": ..., "counter": {"packets": 1}}}`
void count(const json& entry, Counts& counts) {
  const auto element = entry.is_object() ? entry.find("elem") : entry.end();
  if (element == entry.end() || !element->is_object() || !element->contains("val")) return;
  const auto counter = element->find("counter");
  if (counter != element->end() && counter->is_object()) {
    counts[text((*element)["val"])] = packetsOf(*counter);
  }
}

Result<json> objectsOf(const std::string& listing) {
  json parsed = json::parse(listing, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("nftables") || !parsed["nftables"].is_array()) {
    return fail(Code::DataLoss, "BadListing", "read nftables listing: it is no list of objects");
  }
  return std::move(parsed["nftables"]);
}

}  // namespace

Result<Listing> parseListing(const std::string& listing) {
  MULTINET_TRY(const json objects, objectsOf(listing));
  Listing listed;
  for (const json& item : objects) {
    if (item.is_object()) take(item, listed);
  }
  return listed;
}

Result<Counts> parseCounts(const std::string& listing) {
  MULTINET_TRY(const json objects, objectsOf(listing));
  Counts counts;
  for (const json& item : objects) {
    if (!item.is_object()) continue;
    const auto set = item.find("set");
    if (set == item.end() || !set->is_object()) continue;
    const auto list = set->find("elem");
    if (list == set->end() || !list->is_array()) continue;
    for (const json& element : *list) count(element, counts);
  }
  return counts;
}

bool Listing::hasPartsOf(const Table& table) const {
  const auto isThere = [](const auto& parts) {
    return [&parts](const auto& wanted) { return parts.contains(wanted.name); };
  };
  return sets.size() == table.sets.size() && std::ranges::all_of(table.sets, isThere(sets)) &&
         comments.size() == table.chains.size() &&
         std::ranges::all_of(table.chains, isThere(comments)) &&
         counters == std::set<std::string>(table.counters.begin(), table.counters.end());
}

bool Listing::hasShapeOf(const Table& table) const {
  std::map<std::string, std::vector<std::string>> wanted;
  for (const Chain& chain : table.chains) {
    auto& ofChain = wanted[chain.name];
    for (const std::string& rule : chain.rules) ofChain.push_back(commentOf(rule));
  }
  return hasPartsOf(table) && comments == wanted;
}

bool Listing::matches(const Table& table) const {
  return hasShapeOf(table) && std::ranges::all_of(table.sets, [this](const Set& set) {
           return !set.filledBy.empty() || sets.at(set.name) == set.elements;
         });
}

Result<bool> listingMatches(const std::string& listing, const Table& table) {
  MULTINET_TRY(const Listing listed, parseListing(listing));
  return listed.matches(table);
}

}  // namespace multinet::nft
