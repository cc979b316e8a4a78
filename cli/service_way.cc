// How the way of a connection is told: as tables and a sentence, and as JSON.
#include <algorithm>
#include <array>

#include "cli/service_trace.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

std::string_view wordOf(Verdict verdict) {
  constexpr std::array<std::string_view, 3> kWords{"passes", "warns", "refuses"};
  return kWords.at(static_cast<std::size_t>(verdict));
}

Mood moodOf(Verdict verdict) {
  constexpr std::array kMoods{Mood::Good, Mood::Unsure, Mood::Bad};
  return kMoods.at(static_cast<std::size_t>(verdict));
}

std::string yes(bool value) {
  return value ? "true" : "false";
}

}  // namespace

std::string drawWay(const ServiceWay& way, std::size_t most, Colour colour) {
  Table steps{{{"STEP"}, {"VERDICT"}, {"WHY"}, {"DO"}}, {}};
  for (const auto& one : way.steps) {
    steps.rows.push_back({{one.step},
                          {std::string(wordOf(one.verdict)), moodOf(one.verdict)},
                          {one.says},
                          {one.remedy}});
  }
  std::string out = render(steps, Format::Table, colour);
  if (!way.endpoints.empty()) {
    Table table{{{"PORT"},
                 {"ENDPOINT"},
                 {"POD"},
                 {"NODE"},
                 {"READY"},
                 {"SERVING"},
                 {"TERMINATING"},
                 {"USED"},
                 {"WHY"}},
                {}};
    for (const auto& one : way.endpoints) {
      if (table.rows.size() == most) break;
      table.rows.push_back(
          {{one.port},
           {one.endpoint},
           {one.pod},
           {one.node},
           {yes(one.ready)},
           {yes(one.serving)},
           {yes(one.terminating)},
           {one.unused.empty() ? "yes" : "no", one.unused.empty() ? Mood::Good : Mood::Plain},
           {one.unused.empty() ? one.denied : one.unused}});
    }
    out += "\n" + render(table, Format::Table, colour);
    if (way.endpoints.size() > most) {
      out += "and " + std::to_string(way.endpoints.size() - most) + " more; -o wide shows all\n";
    }
  }
  const auto* refusal = way.refusal();
  return out + "\n" +
         (refusal == nullptr ? "From " + printable(way.from) + ": " + printable(way.client)
                             : "Step " + refusal->step + " refuses. " + printable(way.from) +
                                   " sees: " + printable(way.client)) +
         "\n";
}

json toJson(const ServiceWay& way) {
  json steps = json::array();
  for (const auto& one : way.steps) {
    steps.push_back({{"step", one.step},
                     {"verdict", std::string(wordOf(one.verdict))},
                     {"why", one.says},
                     {"do", one.remedy}});
  }
  json endpoints = json::array();
  for (const auto& one : way.endpoints) {
    endpoints.push_back({{"port", one.port},
                         {"endpoint", one.endpoint},
                         {"pod", one.pod},
                         {"nodeName", one.node},
                         {"ready", one.ready},
                         {"serving", one.serving},
                         {"terminating", one.terminating},
                         {"used", one.unused.empty()},
                         {"why", one.unused},
                         {"denied", one.denied}});
  }
  const auto* refusal = way.refusal();
  return {{"from", way.from},
          {"service", way.to},
          {"connects", refusal == nullptr},
          {"refusedBy", refusal == nullptr ? "" : refusal->step},
          {"client", way.client},
          {"steps", steps},
          {"endpoints", endpoints}};
}

}  // namespace multinet::cli
