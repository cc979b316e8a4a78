#include "lib/nft/model.h"

#include <algorithm>
#include <cstdint>

#include "lib/base/encoding.h"

namespace multinet::nft {
namespace {

/// Names of interfaces must be quoted: `a*` and keywords mean something else without.
std::string quoted(const Set& set, const std::string& element) {
  return set.type == "ifname" ? "\"" + element + "\"" : element;
}

std::string list(const Set& set, const std::set<std::string>& elements) {
  std::string text;
  for (const std::string& element : elements) {
    text += (text.empty() ? "" : ", ") + quoted(set, element);
  }
  return "{ " + text + " }";
}

std::set<std::string> missing(const std::set<std::string>& from, const std::set<std::string>& in) {
  std::set<std::string> result;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(),
                      std::inserter(result, result.end()));
  return result;
}

}  // namespace

std::string commentOf(const std::string& rule) {
  std::uint64_t hash = fnv1a(rule);
  std::string text = "multinet-";
  for (int i = 0; i < 16; ++i, hash >>= 4U) text.push_back("0123456789abcdef"[hash & 15U]);
  return text;
}

std::string renderReplace(const Table& table) {
  std::string text = renderDelete(table.name) + "table inet " + table.name + " {\n";
  for (const Set& set : table.sets) {
    const bool isMap = !set.value.empty();
    text += std::string(isMap ? "  map " : "  set ") + set.name + " {\n    type " + set.type;
    text += (isMap ? " : " + set.value : "") + "\n";
    if (set.intervals) text += "    flags interval\n";
    if (!set.elements.empty()) text += "    elements = " + list(set, set.elements) + "\n";
    text += "  }\n";
  }
  for (const Chain& chain : table.chains) {
    text += "  chain " + chain.name + " {\n    type " + chain.type + " hook " + chain.hook +
            " priority " + std::to_string(chain.priority) + "; policy accept;\n";
    for (const std::string& rule : chain.rules) {
      text += "    " + rule + " comment \"" + commentOf(rule) + "\"\n";
    }
    text += "  }\n";
  }
  return text + "}\n";
}

std::string renderDelete(const std::string& table) {
  // nft 1.0.6 has no `destroy`: what is added first can be deleted whether it was there or not.
  return "add table inet " + table + "\ndelete table inet " + table + "\n";
}

std::string renderDelta(const Table& from, const Table& to) {
  std::string text;
  for (std::size_t i = 0; i < to.sets.size(); ++i) {
    const Set& set = to.sets[i];
    const std::string where = " element inet " + to.name + " " + set.name + " ";
    const auto gone = missing(from.sets[i].elements, set.elements);
    const auto added = missing(set.elements, from.sets[i].elements);
    if (!gone.empty()) text += "delete" + where + list(set, gone) + "\n";
    if (!added.empty()) text += "add" + where + list(set, added) + "\n";
  }
  return text;
}

bool sameShape(const Table& a, const Table& b) {
  return a.name == b.name && a.chains == b.chains &&
         std::equal(a.sets.begin(), a.sets.end(), b.sets.begin(), b.sets.end(),
                    [](const Set& x, const Set& y) {
                      return x.name == y.name && x.type == y.type && x.value == y.value &&
                             x.intervals == y.intervals;
                    });
}

}  // namespace multinet::nft
