// A misbehaving API server: real HTTP on a loopback port, objects in memory, faults on request.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "test/support/object_store.h"

namespace multinet::testing {

enum class Fault {
  TooManyRequests,  ///< 429 with Retry-After: 1
  InternalError,    ///< 500 without having done anything
  Stall,            ///< no byte, until the client goes or the server ends
  Cut,              ///< half of the answer, then the connection is closed
  LoseReply,        ///< carried out, then the connection is closed without an answer
  OldList,          ///< the first list that this path ever answered
  EventLost,        ///< of a watch: the next event is left out
  EventDoubled,
  EventDelayed,  ///< sent after the one that follows it
  EventCut,      ///< half of the next event, then the connection is closed
  Silence,       ///< the watch stays open and says nothing more
  Forbidden,     ///< 403
  NotFound,      ///< 404, as of a server that doesn't know the kind
  BadRequest,    ///< 400, as of a server that doesn't know a parameter
};

/// Meets the next `times` requests whose method and target fit.
struct FaultRule {
  Fault fault = Fault::InternalError;
  std::string method;          ///< empty: any
  std::string targetContains;  ///< for example `watch=1`
  int times = 1;
  int after = 0;  ///< lets so many fitting ones pass first
};

struct ApiServerOptions {
  /// PEM texts; with a certificate the server speaks TLS.
  std::string certificate;
  std::string key;
  /// How often a quiet watch gets a bookmark.
  std::chrono::milliseconds bookmarkEvery{100};
};

/// What one client has cost so far.
struct Traffic {
  int connections = 0;                ///< that it made
  int open = 0;                       ///< of these
  std::vector<std::string> requests;  ///< as ApiServer::requests() has them
  std::uint64_t bytes = 0;            ///< sent to it
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options = {});
  /// Cuts what is still open.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// `http://127.0.0.1:port`
  [[nodiscard]] std::string url() const;
  [[nodiscard]] ObjectStore& store();
  void inject(FaultRule rule);
  /// A SelfSubjectAccessReview answers no to that from now on; to all else, yes.
  void deny(const std::string& verb, const std::string& resource);
  /// Cuts all connections, and refuses new ones while `away`.
  enum class Presence { Here, Away };
  void set(Presence presence);
  /// Each request so far: `GET /api/v1/pods?limit=500`.
  [[nodiscard]] std::vector<std::string> requests() const;
  /// How many connections it has taken so far.
  [[nodiscard]] int connections() const;
  /// By the header Authorization; of a connection that of its first request.
  [[nodiscard]] std::map<std::string, Traffic> traffic() const;
  /// The header Authorization of the last request.
  [[nodiscard]] std::string lastAuthorization() const;
  /// Whom the last TLS connection asked for (SNI); empty where it named nobody.
  [[nodiscard]] std::string lastServerName() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::testing
