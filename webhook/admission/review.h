// The API server's question, decoded strictly, and our answer.
//
// Only admission.k8s.io/v1 is spoken. What isn't a review is refused as a bad request and never
// answered with a verdict. Whoever reaches the port can make a review up, its author included: what
// an answer may tell is decided without believing it (open_to.h).
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/api/violation.h"
#include "lib/base/result.h"
#include "lib/http/message.h"

namespace multinet::webhook {

enum class Operation : std::uint8_t { Create, Update, Delete, Connect };

/// One request. The elements live as long as the call that hands the review out.
struct Review {
  std::string uid;
  Operation operation = Operation::Create;
  std::string group;
  std::string resource;     ///< plural, for example `pods`
  std::string subresource;  ///< empty: the object itself
  std::string nameSpace;    ///< empty for objects of the cluster
  std::string name;         ///< may be empty on create (generateName)
  std::optional<simdjson::dom::element> object;
  std::optional<simdjson::dom::element> oldObject;
};

/// What we say. A refusal's message names the field, its value and what would be right.
struct Verdict {
  bool allowed = true;
  int code = 200;      ///< HTTP status of the refusal, for example 422
  std::string reason;  ///< Kubernetes' word for it: `Invalid`, `Forbidden`, `BadRequest`
  std::string message;
  std::vector<std::string> warnings;
  nlohmann::json patch;  ///< RFC 6902; null: nothing to change
  /// Something that counts isn't in what was looked at; the API server may know.
  bool unknown = false;
  /// What was looked at may be behind and the API server is better asked; where there is no room to
  /// ask it, this stands.
  bool behind = false;

  /// Refused by rules: all violations in one message, and the warnings.
  [[nodiscard]] static Verdict of(const std::string& object, const api::Report& report);
  [[nodiscard]] static Verdict refuse(int code, std::string reason, std::string message);
};

/// Decides one review. Thread-safe.
using Decide = std::function<Verdict(const Review&)>;

/// Parses JSON as strictly as a decision about security must: valid UTF-8, no key twice in one
/// object, at most 128 levels. The parser is the thread's own; the element lives until its next
/// use.
[[nodiscard]] Result<simdjson::dom::element> parseStrictly(std::string_view text);

/// Decodes the review in `root`. InvalidArgument says what is missing or wrong.
[[nodiscard]] Result<Review> decodeReview(const simdjson::dom::element& root);

/// The AdmissionReview that answers `uid`.
[[nodiscard]] std::string encodeAnswer(const std::string& uid, const Verdict& verdict);

/// POST of a review, answered; 400 for what isn't one. `body` is read on the caller's thread.
[[nodiscard]] http::Response answerReview(std::string_view body, const Decide& decide);

}  // namespace multinet::webhook
