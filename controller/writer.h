// Carries out a pass's writes. Every write has a precondition (a name that must be free, a UID, a
// resourceVersion), and what deletes is confirmed by reading from the API server first, so that a
// leader who was replaced, or whose caches lag, loses.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/observe/kinds.h"
#include "controller/pass/pass.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::controller {

/// Blocks in each call; for the pass's thread only.
class Writer {
 public:
  /// `leading` is asked before each write.
  Writer(kube::Client& client, const Clock& clock, std::function<bool()> leading);

  /// Goes on after a failure and returns the first; a lost race is none, the next pass sees it. An
  /// object whose write the server refuses for what it is (422, 403) is no failure of the others:
  /// it is left out until its own time has come, which doubles from 30 s to 10 min.
  [[nodiscard]] Status carryOut(const Writes& writes);
  /// When the first of those that were refused is to be tried again.
  [[nodiscard]] std::optional<Duration> again() const;
  /// How many writes reached the API server since the start.
  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  struct Refused {
    BootTime until;
    Duration wait{};
  };

  void note(const std::string& object, const Status& status);
  /// For what was read before a deletion, which concerns no one object.
  void noteRead(const Error& error);
  [[nodiscard]] bool mayTry(const std::string& object) const;
  void createIdentifier(const IdentifierWish& wish);
  void writeStatus(const kube::Kind& kind, const Meta& meta, nlohmann::json status);
  void addFinalizer(const Meta& meta);
  void removeFinalizer(const Meta& meta, const Writes& writes);
  void writeFinalizers(const Meta& meta, const std::vector<std::string>& finalizers);
  /// False where it couldn't be read.
  template <class T>
  [[nodiscard]] bool listOnce(std::optional<std::vector<T>>& kept);
  /// False also where it couldn't be found out.
  [[nodiscard]] bool unusedIndeed(const Meta& network, const Writes& writes);
  void removeSuspect(const InterfaceSet& set);
  void removeAll(const kube::Kind& kind, const std::vector<Deletion>& deletions);
  [[nodiscard]] bool goneIndeed(const Deletion& deletion);
  void remove(const kube::Kind& kind, const Deletion& deletion);

  kube::Client& client_;
  const Clock& clock_;
  std::function<bool()> leading_;
  Status first_;
  std::map<std::string, Refused> refused_;  ///< by kind, namespace, name and UID
  // Read once in carryOut(), where something is to be deleted: what was decided is older.
  std::optional<std::vector<SeenNetwork>> networks_;
  std::optional<std::vector<InterfaceSet>> sets_;
  std::uint64_t written_ = 0;
};

}  // namespace multinet::controller
