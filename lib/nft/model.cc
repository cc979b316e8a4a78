#include "lib/nft/model.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "lib/base/encoding.h"

namespace multinet::nft {
namespace {

/// Types that begin with an interface's name.
constexpr std::array<std::string_view, 4> kNames = {"ifname", "typeof iifname", "typeof oifname",
                                                    "typeof meta ibrname"};

/// Names of interfaces must be quoted: `a*` and keywords mean something else without.
std::string quoted(const Set& set, const std::string& element) {
  const bool isNamed = std::ranges::any_of(
      kNames, [&](std::string_view type) { return set.type.starts_with(type); });
  if (!isNamed) return element;
  const std::size_t end = std::min({element.find(" . "), element.find(" : "), element.size()});
  return "\"" + element.substr(0, end) + "\"" + element.substr(end);
}

/// libnftables 1.0.6 forgets to turn parts of host order round where it deletes an element without
/// a range from a set of ranges: a range of one number it does right.
std::string ranged(const Set& set, const std::string& element) {
  const bool isOfHostOrder = set.type.find("mark . ") != std::string::npos;
  if (!set.intervals || !isOfHostOrder || !set.value.empty()) return element;
  const std::size_t last = element.rfind(" . ");
  if (last == std::string::npos || element.find_first_of("-/", last + 3) != std::string::npos) {
    return element;
  }
  return element + "-" + element.substr(last + 3);
}

std::string list(const Set& set, const std::set<std::string>& elements) {
  std::string text;
  for (const std::string& element : elements) {
    text += (text.empty() ? "" : ", ") + ranged(set, quoted(set, element));
  }
  return "{ " + text + " }";
}

std::set<std::string> missing(const std::set<std::string>& from, const std::set<std::string>& in) {
  std::set<std::string> result;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(),
                      std::inserter(result, result.end()));
  return result;
}

std::string chainOf(const Chain& chain) {
  std::string text = "  chain " + chain.name + " {\n";
  if (!chain.hook.empty()) {
    const std::string device = chain.device.empty() ? "" : " device \"" + chain.device + "\"";
    text += "    type " + chain.type + " hook " + chain.hook + device + " priority " +
            std::to_string(chain.priority) + "; policy accept;\n";
  }
  for (const std::string& rule : chain.rules) {
    text += "    " + rule + " comment \"" + commentOf(rule) + "\"\n";
  }
  return text + "  }\n";
}

std::string setOf(const Set& set, const std::set<std::string>& elements) {
  const bool isTyped = set.type.starts_with("typeof ");
  const bool isMap = !set.value.empty();
  std::string text = std::string(isMap ? "  map " : "  set ") + set.name + " {\n    ";
  text += (isTyped ? "" : "type ") + set.type + (isMap ? " : " + set.value : "") + "\n";
  if (set.intervals) text += "    flags interval\n";
  if (!set.filledBy.empty()) text += "    " + set.filledBy + "\n";
  if (!elements.empty()) text += "    elements = " + list(set, elements) + "\n";
  return text + "  }\n";
}

}  // namespace

std::string commentOf(const std::string& rule) {
  std::uint64_t hash = fnv1a(rule);
  std::string text = "multinet-";
  for (int i = 0; i < 16; ++i, hash >>= 4U) text.push_back("0123456789abcdef"[hash & 15U]);
  return text;
}

std::string renderReplace(const Table& table) {
  std::string text =
      renderDelete(table.name, table.family) + "table " + table.family + " " + table.name + " {\n";
  for (const std::string& counter : table.counters) text += "  counter " + counter + " { }\n";
  for (const Set& set : table.sets) text += setOf(set, set.elements);
  for (const Chain& chain : table.chains) text += chainOf(chain);
  return text + "}\n";
}

bool remembers(const Table& table) {
  return std::ranges::any_of(table.sets, [](const Set& set) { return !set.filledBy.empty(); });
}

std::string renderRefill(const Table& table, const Elements& gone, const Elements& added) {
  const std::string where = table.family + " " + table.name;
  std::string text;
  for (const Chain& chain : table.chains) text += "flush chain " + where + " " + chain.name + "\n";
  text += renderChange(table, gone, added);
  text += "table " + where + " {\n";
  for (const Set& set : table.sets) text += setOf(set, {});
  for (const Chain& chain : table.chains) text += chainOf(chain);
  return text + "}\n";
}

std::string renderDelete(const std::string& table, const std::string& family) {
  // nft 1.0.6 has no `destroy`: what is added first can be deleted whether it was there or not.
  const std::string what = " table " + family + " " + table + "\n";
  return "add" + what + "delete" + what;
}

std::string renderDelta(const Table& from, const Table& to) {
  Elements gone;
  Elements added;
  for (std::size_t i = 0; i < to.sets.size(); ++i) {
    gone[to.sets[i].name] = missing(from.sets[i].elements, to.sets[i].elements);
    added[to.sets[i].name] = missing(to.sets[i].elements, from.sets[i].elements);
  }
  return renderChange(to, gone, added);
}

void insert(const Elements& elements, Elements& into) {
  for (const auto& [set, values] : elements) into[set].insert(values.begin(), values.end());
}

void erase(const Elements& elements, Elements& from) {
  for (const auto& [set, values] : elements) {
    for (const std::string& value : values) from[set].erase(value);
  }
}

Elements less(const Elements& from, const Elements& without) {
  Elements rest = from;
  erase(without, rest);
  std::erase_if(rest, [](const auto& set) { return set.second.empty(); });
  return rest;
}

bool isNone(const Elements& elements) {
  return std::ranges::all_of(elements, [](const auto& set) { return set.second.empty(); });
}

void apply(const Elements& gone, const Elements& added, Table& table) {
  for (Set& set : table.sets) {
    if (const auto found = gone.find(set.name); found != gone.end()) {
      for (const std::string& element : found->second) set.elements.erase(element);
    }
    if (const auto found = added.find(set.name); found != added.end()) {
      set.elements.insert(found->second.begin(), found->second.end());
    }
  }
}

std::string renderChange(const Table& table, const Elements& gone, const Elements& added) {
  std::string text;
  for (const Set& set : table.sets) {
    const std::string where = " element " + table.family + " " + table.name + " " + set.name + " ";
    const auto put = [&](const char* verb, const Elements& elements) {
      const auto found = elements.find(set.name);
      if (found == elements.end() || found->second.empty()) return;
      text += verb + where + list(set, found->second) + "\n";
    };
    put("delete", gone);
    put("add", added);
  }
  return text;
}

bool sameShape(const Table& a, const Table& b) {
  const auto sameSet = [](const Set& x, const Set& y) {
    return x.name == y.name && x.type == y.type && x.filledBy == y.filledBy && x.value == y.value &&
           x.intervals == y.intervals;
  };
  return a.name == b.name && a.family == b.family && a.counters == b.counters &&
         a.chains == b.chains &&
         std::equal(a.sets.begin(), a.sets.end(), b.sets.begin(), b.sets.end(), sameSet);
}

}  // namespace multinet::nft
