// Carries out a pass's writes. Every write has a precondition (a name that must be free, a UID, a
// resourceVersion), and what deletes is confirmed by reading from the API server first, so that a
// leader who was replaced, or whose caches lag, loses.
#pragma once

#include <functional>
#include <string>

#include "controller/pass/pass.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::controller {

/// Blocks in each call; for the pass's thread only.
class Writer {
 public:
  /// `leading` is asked before each write.
  Writer(kube::Client& client, const Clock& clock, std::function<bool()> leading);

  /// Goes on after a failure and returns the first; a lost race is none, the next pass sees it.
  [[nodiscard]] Status carryOut(const Writes& writes);
  /// How many writes reached the API server since the start.
  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  void note(const Status& status);
  void createIdentifier(const IdentifierWish& wish);
  void writeStatus(const kube::Kind& kind, const Meta& meta, nlohmann::json status);
  void addFinalizer(const Meta& meta);
  void removeFinalizer(const Meta& meta, const Writes& writes);
  void writeFinalizers(const Meta& meta, const std::vector<std::string>& finalizers);
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
  std::uint64_t written_ = 0;
};

}  // namespace multinet::controller
