// A plane without a kernel: maps in memory.
#pragma once

#include <optional>

#include "nodeagent/services/fake_table.h"
#include "nodeagent/services/plane.h"

namespace multinet::agent::services {

class FakePlane final : public Plane {
 public:
  [[nodiscard]] bool isThere() const override { return there; }
  [[nodiscard]] Status ensure() override {
    ++ensured;
    if (error) return fail(*error);
    there = true;
    return {};
  }
  [[nodiscard]] ServiceTable::Maps maps() override { return {services, slots, endpoints}; }
  [[nodiscard]] bpf::Table& members() override { return memberTable; }
  [[nodiscard]] Status grow() override {
    if (growsTo == 0)
      return fail(Code::ResourceExhausted, "MapFull", "enlarge: as large as can be");
    for (FakeTable* one : {&services, &slots, &endpoints}) one->setCapacity(growsTo);
    growsTo = 0;
    return {};
  }
  [[nodiscard]] Result<std::set<std::uint64_t>> namespaces() override { return alive; }
  [[nodiscard]] Result<unsigned> end(const std::vector<Ended>& some,
                                     const Members& /*members*/) override {
    ended.insert(ended.end(), some.begin(), some.end());
    return static_cast<unsigned>(some.size());
  }

  bool there = false;
  int ensured = 0;
  std::size_t growsTo = 0;  ///< once; 0: not at all
  std::optional<Error> error;
  std::set<std::uint64_t> alive;
  std::vector<Ended> ended;
  FakeTable services;
  FakeTable slots;
  FakeTable endpoints;
  FakeTable memberTable;
};

}  // namespace multinet::agent::services
