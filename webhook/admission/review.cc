#include "webhook/admission/review.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "lib/base/encoding.h"

namespace multinet::webhook {
namespace {

using Element = simdjson::dom::element;

constexpr std::size_t kMaxDepth = 128;
/// Room of one parser. Above the HTTP server's limit, so that the limit is what a body meets first.
constexpr std::size_t kCapacity = 4U << 20U;
/// The API server passes on 4096 bytes of warnings in all; more than this of one helps nobody.
constexpr std::size_t kMaxWarning = 512;

tl::unexpected<Error> bad(const std::string& detail) {
  return fail(Code::InvalidArgument, "BadReview", "read review: " + detail);
}

Status checkKeys(const Element& element);

Status checkMembers(const simdjson::dom::object& object) {
  std::vector<std::string_view> keys;
  for (const auto field : object) {
    keys.push_back(field.key);
    MULTINET_CHECK(checkKeys(field.value));
  }
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) return bad("key \"" + std::string(*twice) + "\" stands twice");
  return {};
}

/// Recursion is bounded by the parser's depth.
Status checkKeys(const Element& element) {
  simdjson::dom::object object;
  if (element.get(object) == simdjson::SUCCESS) return checkMembers(object);
  simdjson::dom::array array;
  if (element.get(array) != simdjson::SUCCESS) return {};
  for (const Element item : array) MULTINET_CHECK(checkKeys(item));
  return {};
}

std::string text(const Element& parent, std::string_view key) {
  std::string_view value;
  if (parent[key].get(value) != simdjson::SUCCESS) return {};
  return std::string(value);
}

std::optional<Element> objectAt(const Element& parent, std::string_view key) {
  Element value;
  if (parent[key].get(value) != simdjson::SUCCESS || !value.is_object()) return std::nullopt;
  return value;
}

Result<Operation> parseOperation(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, Operation>, 4> kOperations{
      {{"CREATE", Operation::Create},
       {"UPDATE", Operation::Update},
       {"DELETE", Operation::Delete},
       {"CONNECT", Operation::Connect}}};
  for (const auto& [word, operation] : kOperations) {
    if (word == name) return operation;
  }
  return bad("request.operation \"" + name + "\" is none of CREATE, UPDATE, DELETE, CONNECT");
}

std::string join(const api::Violations& violations) {
  std::string joined;
  for (const auto& violation : violations) {
    if (!joined.empty()) joined += "; ";
    joined += violation.str();
  }
  return joined;
}

}  // namespace

Verdict Verdict::refuse(int code, std::string reason, std::string message) {
  Verdict verdict;
  verdict.allowed = false;
  verdict.code = code;
  verdict.reason = std::move(reason);
  verdict.message = std::move(message);
  return verdict;
}

Verdict Verdict::of(const std::string& object, const api::Report& report) {
  Verdict verdict;
  if (!report.ok()) {
    verdict = refuse(422, "Invalid", "admit " + object + ": " + join(report.violations));
  }
  for (const auto& warning : report.warnings) verdict.warnings.push_back(warning.str());
  return verdict;
}

Result<Element> parseStrictly(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  if (parser.max_depth() != kMaxDepth) {
    if (parser.allocate(kCapacity, kMaxDepth) != simdjson::SUCCESS) {
      return fail(Code::ResourceExhausted, "NoMemory", "read JSON: no memory for a parser");
    }
  }
  Element root;
  const auto error = parser.parse(text.data(), text.size()).get(root);
  if (error != simdjson::SUCCESS) {
    return fail(Code::InvalidArgument, "BadJson",
                std::string("read JSON: ") + simdjson::error_message(error));
  }
  MULTINET_CHECK(checkKeys(root));
  return root;
}

Result<Review> decodeReview(const Element& root) {
  if (!root.is_object()) return bad("the body is no JSON object");
  if (text(root, "kind") != "AdmissionReview") {
    return bad("kind \"" + text(root, "kind") + "\"; want AdmissionReview");
  }
  if (text(root, "apiVersion") != "admission.k8s.io/v1") {
    return bad("apiVersion \"" + text(root, "apiVersion") + "\"; want admission.k8s.io/v1");
  }
  const auto request = objectAt(root, "request");
  if (!request) return bad("request is missing");
  Review review;
  review.uid = text(*request, "uid");
  if (review.uid.empty()) return bad("request.uid is missing");
  MULTINET_TRY(review.operation, parseOperation(text(*request, "operation")));
  const auto resource = objectAt(*request, "resource");
  if (!resource) return bad("request.resource is missing");
  review.group = text(*resource, "group");
  review.resource = text(*resource, "resource");
  if (review.resource.empty()) return bad("request.resource.resource is missing");
  review.subresource = text(*request, "subResource");
  review.nameSpace = text(*request, "namespace");
  review.name = text(*request, "name");
  review.object = objectAt(*request, "object");
  review.oldObject = objectAt(*request, "oldObject");
  return review;
}

std::string encodeAnswer(const std::string& uid, const Verdict& verdict) {
  nlohmann::json response{{"uid", uid}, {"allowed", verdict.allowed}};
  if (!verdict.allowed) {
    response["status"] = {
        {"code", verdict.code}, {"reason", verdict.reason}, {"message", verdict.message}};
  }
  for (const auto& warning : verdict.warnings) {
    response["warnings"].push_back(warning.substr(0, kMaxWarning));
  }
  if (verdict.allowed && verdict.patch.is_array() && !verdict.patch.empty()) {
    response["patchType"] = "JSONPatch";
    response["patch"] = encodeBase64(verdict.patch.dump());
  }
  const nlohmann::json answer{{"apiVersion", "admission.k8s.io/v1"},
                              {"kind", "AdmissionReview"},
                              {"response", std::move(response)}};
  // A cut in the middle of a character must not throw.
  return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

http::Response answerReview(std::string_view body, const Decide& decide) {
  const auto refuse = [](const Error& error) {
    return http::Response{400, "text/plain; charset=utf-8", error.message + "\n"};
  };
  const auto root = parseStrictly(body);
  if (!root) return refuse(root.error());
  const auto review = decodeReview(*root);
  if (!review) return refuse(review.error());
  return {200, "application/json", encodeAnswer(review->uid, decide(*review))};
}

}  // namespace multinet::webhook
