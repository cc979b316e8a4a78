// `nft -j list table`: a list of objects, one key each (libnftables-json(5)).
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

struct Listed {
  std::map<std::string, std::set<std::string>> sets;
  std::map<std::string, std::vector<std::string>> comments;  ///< of the rules of each chain
};

void take(const json& item, Listed& listed) {
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
  }
}

}  // namespace

Result<bool> listingMatches(const std::string& listing, const Table& table) {
  const json parsed = json::parse(listing, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("nftables") || !parsed["nftables"].is_array()) {
    return fail(Code::DataLoss, "BadListing", "read nftables listing: it is no list of objects");
  }
  Listed listed;
  for (const json& item : parsed["nftables"]) {
    if (item.is_object()) take(item, listed);
  }
  Listed wanted;
  for (const Set& set : table.sets) wanted.sets[set.name] = set.elements;
  for (const Chain& chain : table.chains) {
    auto& comments = wanted.comments[chain.name];
    for (const std::string& rule : chain.rules) comments.push_back(commentOf(rule));
  }
  return listed.sets == wanted.sets && listed.comments == wanted.comments;
}

}  // namespace multinet::nft
