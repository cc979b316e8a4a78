// What the maps have of services, and the writes that make it what it shall be.
//
// Readers are processes that connect while writes are under way, so each write leaves what a reader
// can use: endpoints are there before they are counted and counted no more before they go. What the
// maps hold is known here as well; nothing is read again, and what is as it shall be isn't written.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "lib/bpf/table.h"
#include "nodeagent/services/words.h"

namespace multinet::agent::services {

/// Endpoints that a UDP service lost: sockets that are connected to them have nobody to speak with.
struct Ended {
  NetworkKey network = 0;
  std::uint32_t service = 0;  ///< its id in the maps
  std::vector<Target> targets;
};

/// On which network a service is, whether its clients keep their endpoint, and for whom it is.
struct Terms {
  NetworkKey network = 0;
  std::uint32_t affinity = 0;   ///< for how many seconds after they last connected; 0: they don't
  bool reachesCluster = false;  ///< clients who aren't on the network pass, else they are refused
  bool operator==(const Terms&) const = default;
};

/// One thread.
class ServiceTable {
 public:
  /// The maps of program/layout.h, which outlive it.
  struct Maps {
    bpf::Table& services;
    bpf::Table& slots;
    bpf::Table& endpoints;
  };
  explicit ServiceTable(Maps maps) : maps_(maps) {}

  /// Once, first: reads what an earlier agent left. What that didn't finish is put right; where all
  /// is whole nothing is written.
  [[nodiscard]] Status adopt();

  /// From now on that leads to these targets (each once). What ends is added to `ended`, also where
  /// a later write fails. ResourceExhausted/MapFull: what was there before goes on as far as it is
  /// still wanted.
  [[nodiscard]] Status put(const Frontend& frontend, const Terms& terms,
                           const std::vector<Target>& targets, std::vector<Ended>& ended);
  /// Likewise. Nothing there is success.
  [[nodiscard]] Status remove(const Frontend& frontend, std::vector<Ended>& ended);

  [[nodiscard]] std::vector<Frontend> frontends() const;
  /// Of one that is there.
  [[nodiscard]] NetworkKey networkOf(const Frontend& frontend) const {
    return states_.at(frontend).terms.network;
  }
  [[nodiscard]] std::size_t size() const { return states_.size(); }
  /// Of all of them.
  [[nodiscard]] std::size_t endpoints() const { return endpoints_; }
  /// Changes of an entry so far.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  struct State {
    Terms terms;
    std::uint32_t id = 0;
    std::vector<Target> slots;
  };

  [[nodiscard]] Status write(bpf::Table& map, bpf::Bytes key, bpf::Bytes value);
  [[nodiscard]] Status erase(bpf::Table& map, bpf::Bytes key);
  [[nodiscard]] Status writeCount(const Frontend& frontend, const State& state, std::size_t count);
  [[nodiscard]] Status writeSlot(const State& state, std::size_t index, const Target& target);
  [[nodiscard]] Status join(const Frontend& frontend, State& state,
                            const std::vector<Target>& targets);
  [[nodiscard]] Status leave(const Frontend& frontend, State& state, std::size_t index);
  [[nodiscard]] Status retain(const Frontend& frontend, State& state, const Terms& terms);
  [[nodiscard]] Status adoptSlots();
  [[nodiscard]] Status adoptEndpoints();

  const Maps maps_;
  std::map<Frontend, State> states_;
  std::size_t endpoints_ = 0;
  std::uint32_t nextId_ = 1;
  std::uint64_t writes_ = 0;
};

}  // namespace multinet::agent::services
