// Typed calls to the API server. Thread-safe; every call blocks, at most for its deadline (and one
// more after a retry), so none belongs on a thread that others wait for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/kube/object.h"
#include "lib/kube/transport.h"

namespace multinet::kube {

/// One finished call, for metrics. `verb` is Kubernetes' (get, list, create, update, patch, apply,
/// delete, watch), `code` the HTTP status, or 0 where no answer came.
struct CallRecord {
  std::string_view verb;
  std::string_view resource;
  int code = 0;
  Duration duration{};
};
using CallObserver = std::function<void(const CallRecord&)>;

struct ClientOptions {
  Duration deadline = std::chrono::seconds(15);      ///< total, of one attempt
  Duration maxRetryAfter = std::chrono::seconds(5);  ///< a longer Retry-After isn't waited for
  std::string fieldManager = "multinet";
  CallObserver observer;
  const Clock* clock = &kSystemClock;  ///< outlives the client; the wait before a retry goes by it
};

/// Which objects. An empty namespace means all of them.
struct Selection {
  std::string nameSpace;
  std::string labelSelector;
  std::string fieldSelector;
};

/// What must still be true of the object, else the write fails with Aborted/Conflict.
struct Preconditions {
  std::string uid;
  std::string resourceVersion;
};

/// Force takes fields over from other managers.
enum class Conflicts { Refuse, Force };
enum class Subresource { None, Status };
enum class PatchType { Merge, Apply };

/// The same for every kind: paths, bodies, errors, retries. Programs use `Client`.
class RawClient {
 public:
  RawClient(std::unique_ptr<Transport> transport, ClientOptions options);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient();

  /// Any path (discovery, health). The body of a 2xx answer.
  [[nodiscard]] Result<std::string> getPath(const std::string& target);
  [[nodiscard]] Result<std::string> get(const Kind& kind, const ObjectKey& key);
  /// `resume` is the page before's continue token; `revisionAtLeast` lets the server answer from
  /// its cache when that is as new.
  [[nodiscard]] Result<std::string> listPage(const Kind& kind, const Selection& selection,
                                             int limit, const std::string& resume,
                                             const std::string& revisionAtLeast);
  /// Posts. `ours` is asked when a reply was lost and the retry meets AlreadyExists: with true the
  /// object that is there is the one that the lost call made, and is returned.
  [[nodiscard]] Result<std::string> create(const Kind& kind, Json object,
                                           const std::function<bool(std::string_view)>& ours);
  [[nodiscard]] Result<std::string> update(const Kind& kind, Json object, Subresource subresource);
  [[nodiscard]] Result<std::string> patch(const Kind& kind, const ObjectKey& key, PatchType type,
                                          Json body, Subresource subresource, Conflicts conflicts);
  [[nodiscard]] Status remove(const Kind& kind, const ObjectKey& key,
                              const Preconditions& preconditions);
  /// For watches: the transport itself, the same identity.
  [[nodiscard]] Transport& transport() { return *transport_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  /// Tells the observer of a call that was made on `transport()` directly.
  void observe(const CallRecord& record) const;

 private:
  struct Call;
  [[nodiscard]] Result<std::string> run(const Call& call);

  std::unique_ptr<Transport> transport_;
  ClientOptions options_;
};

/// `/api/v1/namespaces/x/pods/y/status` and the like; name and subresource may be empty.
[[nodiscard]] std::string pathOf(const Kind& kind, const ObjectKey& key, Subresource subresource);
/// Percent-encodes one query value or path segment.
[[nodiscard]] std::string percentEncode(std::string_view text);
/// The Error of an answer that isn't 2xx: code by status, reason and message from the server's
/// Status object where there is one. `what` reads `verb object name`.
[[nodiscard]] Error errorOf(const HttpResponse& response, std::string_view what);

/// Parses `json` and hands the root on; the parser is the thread's own.
[[nodiscard]] Status withJson(std::string_view json,
                              const std::function<Status(const simdjson::dom::element&)>& use);

template <HasKind T>
[[nodiscard]] Result<T> decodeJson(std::string_view json) {
  Result<T> object = fail(Code::Internal, "NotDecoded", "decode object: nothing was read");
  MULTINET_CHECK(withJson(json, [&](const simdjson::dom::element& root) -> Status {
    object = KindTraits<T>::decode(root);
    return {};
  }));
  return object;
}

class Client {
 public:
  explicit Client(std::unique_ptr<Transport> transport, ClientOptions options = {})
      : raw_(std::move(transport), std::move(options)) {}

  /// NotFound if it isn't there.
  template <HasKind T>
  [[nodiscard]] Result<T> get(const ObjectKey& key) {
    MULTINET_TRY(auto body, raw_.get(kindOf<T>(), key));
    return decodeJson<T>(body);
  }

  /// All pages. An expired continue token starts again, once.
  template <HasKind T>
  [[nodiscard]] Result<std::vector<T>> list(const Selection& selection = {});

  template <HasKind T>
  [[nodiscard]] Result<T> create(const T& object,
                                 const std::function<bool(const T&)>& ours = nullptr) {
    std::function<bool(std::string_view)> rawOurs;
    if (ours) {
      rawOurs = [&ours](std::string_view body) {
        const auto existing = decodeJson<T>(body);
        return existing.has_value() && ours(*existing);
      };
    }
    MULTINET_TRY(auto body, raw_.create(kindOf<T>(), KindTraits<T>::encode(object), rawOurs));
    return decodeJson<T>(body);
  }

  /// PUT of the whole object: metadata.resourceVersion guards it (Aborted/Conflict).
  template <HasKind T>
  [[nodiscard]] Result<T> update(const T& object) {
    MULTINET_TRY(auto body,
                 raw_.update(kindOf<T>(), KindTraits<T>::encode(object), Subresource::None));
    return decodeJson<T>(body);
  }
  template <HasKind T>
  [[nodiscard]] Result<T> updateStatus(const T& object) {
    MULTINET_TRY(auto body,
                 raw_.update(kindOf<T>(), KindTraits<T>::encode(object), Subresource::Status));
    return decodeJson<T>(body);
  }

  /// JSON merge patch; put metadata.uid or metadata.resourceVersion into it as preconditions.
  template <HasKind T>
  [[nodiscard]] Result<T> patch(const ObjectKey& key, const Json& mergePatch,
                                Subresource subresource = Subresource::None) {
    MULTINET_TRY(auto body, raw_.patch(kindOf<T>(), key, PatchType::Merge, mergePatch, subresource,
                                       Conflicts::Refuse));
    return decodeJson<T>(body);
  }

  /// Server-side apply of the fields in `object` (name in metadata), as the client's field manager.
  template <HasKind T>
  [[nodiscard]] Result<T> apply(const Json& object, Subresource subresource = Subresource::None,
                                Conflicts conflicts = Conflicts::Force) {
    const Json& metadata = object.at("metadata");
    const ObjectKey key{metadata.value("namespace", ""), metadata.value("name", "")};
    MULTINET_TRY(auto body,
                 raw_.patch(kindOf<T>(), key, PatchType::Apply, object, subresource, conflicts));
    return decodeJson<T>(body);
  }

  /// NotFound if it is gone already.
  template <HasKind T>
  [[nodiscard]] Status remove(const ObjectKey& key, const Preconditions& preconditions = {}) {
    return raw_.remove(kindOf<T>(), key, preconditions);
  }

  [[nodiscard]] RawClient& raw() { return raw_; }

 private:
  RawClient raw_;
};

struct ListPaging {
  int pageSize = 500;
  std::string revisionAtLeast;  ///< empty: the newest there is
};

/// Calls `item` for each object of every page and returns the list's resourceVersion.
[[nodiscard]] Result<std::string> listAll(
    RawClient& client, const Kind& kind, const Selection& selection, const ListPaging& paging,
    const std::function<Status(const simdjson::dom::element&)>& item);

template <HasKind T>
Result<std::vector<T>> Client::list(const Selection& selection) {
  std::vector<T> objects;
  for (int attempt = 0;; ++attempt) {
    objects.clear();
    auto revision = listAll(raw_, kindOf<T>(), selection, {},
                            [&](const simdjson::dom::element& item) -> Status {
                              MULTINET_TRY(auto object, KindTraits<T>::decode(item));
                              objects.push_back(std::move(object));
                              return {};
                            });
    if (revision.has_value()) return objects;
    if (revision.error().reason != "Expired" || attempt > 0) return fail(revision.error());
  }
}

/// Transport and client in one.
[[nodiscard]] Result<std::unique_ptr<Client>> connect(const Config& config,
                                                      ClientOptions options = {});

}  // namespace multinet::kube
