#include "lib/kube/client.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>

#include "lib/kube/list_page.h"

namespace multinet::kube {
namespace {

/// A parser keeps the memory of its largest document; larger ones get a parser of their own.
constexpr std::size_t kKeptDocument = 1U << 20U;
constexpr Duration kRetryFirst = std::chrono::milliseconds(100);

Code codeOf(int status, const std::string& reason) {
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return Code::InvalidArgument;
    case 401:
      return Code::Unauthenticated;
    case 403:
      return Code::PermissionDenied;
    case 404:
      return Code::NotFound;
    case 405:
    case 406:
    case 501:
      return Code::Unimplemented;
    case 409:
      return reason == "AlreadyExists" ? Code::AlreadyExists : Code::Aborted;
    case 410:
      return Code::OutOfRange;
    case 412:
      return Code::FailedPrecondition;
    case 429:
      return Code::ResourceExhausted;
    case 504:
      return Code::DeadlineExceeded;
    default:
      return status >= 500 ? Code::Unavailable : Code::Unknown;
  }
}

bool worthRetrying(int status) {
  return status == 429 || (status >= 500 && status != 501);
}

/// Spreads those who were refused at the same time.
Duration jittered(Duration duration) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::uniform_real_distribution<double> factor(1.0, 2.0);
  return Duration(
      static_cast<Duration::rep>(static_cast<double>(duration.count()) * factor(random)));
}

void pause(const Clock& clock, Duration time) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any wake;  // nobody's: only time ends it
  const BootTime until = clock.now() + time;
  while (clock.now() < until) clock.waitUntil(wake, lock, until);
}

class Query {
 public:
  void add(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_ += text_.empty() ? '?' : '&';
    text_ += key;
    text_ += '=';
    text_ += percentEncode(value);
  }
  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  std::string text_;
};

std::string what(std::string_view verb, const Kind& kind, const ObjectKey& key) {
  auto text = std::string(verb) + " " + std::string(kind.plural);
  if (!key.name.empty() || !key.nameSpace.empty()) text += " " + key.str();
  return text;
}

void nameKind(const Kind& kind, Json& object) {
  if (!object.is_object()) return;
  object.emplace("apiVersion", kind.apiVersion());
  object.emplace("kind", std::string(kind.kind));
}

std::string textAt(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<ObjectKey> keyOf(const Kind& kind, const Json& object) {
  const auto metadata = object.is_object() ? object.find("metadata") : object.end();
  ObjectKey key;
  if (metadata != object.end()) {
    key = {textAt(*metadata, "namespace"), textAt(*metadata, "name")};
  }
  if (key.nameSpace.empty() == (kind.scope == Scope::Namespaced)) {
    return fail(Code::InvalidArgument, "BadNamespace",
                "write " + std::string(kind.plural) + " " + key.str() + ": metadata.namespace is " +
                    (key.nameSpace.empty() ? "missing; the kind is namespaced"
                                           : "set; the kind belongs to the cluster"));
  }
  return key;
}

std::string dump(const Json& json) {
  // Text that isn't UTF-8 is replaced: dump would throw.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string percentEncode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4U];
      encoded += kDigits[byte & 15U];
    }
  }
  return encoded;
}

std::string pathOf(const Kind& kind, const ObjectKey& key, Subresource subresource) {
  std::string path = kind.group.empty() ? "/api" : "/apis/" + std::string(kind.group);
  path += "/" + std::string(kind.version);
  if (!key.nameSpace.empty()) path += "/namespaces/" + percentEncode(key.nameSpace);
  path += "/" + std::string(kind.plural);
  if (!key.name.empty()) path += "/" + percentEncode(key.name);
  if (subresource == Subresource::Status) path += "/status";
  return path;
}

Error errorOf(const HttpResponse& response, std::string_view what) {
  const Json status = Json::parse(response.body, nullptr, false);
  auto reason = textAt(status, "reason");
  auto message = textAt(status, "message");
  if (message.empty()) message = response.body.substr(0, 200);
  // Answers without a Status object: of proxies, and of handlers of the server outside its API.
  if (reason.empty()) reason = "Http" + std::to_string(response.status);
  return Error{
      codeOf(response.status, reason), std::move(reason),
      std::string(what) + ": " + message + " (HTTP " + std::to_string(response.status) + ")"};
}

Status withJson(std::string_view json,
                const std::function<Status(const simdjson::dom::element&)>& use) {
  thread_local simdjson::dom::parser kept;
  thread_local int depth = 0;
  // A parser's next document frees the last one, so a document within a document needs its own.
  simdjson::dom::parser own;
  auto& parser = depth == 0 && json.size() <= kKeptDocument ? kept : own;
  simdjson::dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root)) {
    return fail(Code::DataLoss, "BadJson",
                std::string("read JSON: ") + simdjson::error_message(error));
  }
  ++depth;
  auto status = use(root);
  --depth;
  return status;
}

struct RawClient::Call {
  std::string_view verb;
  std::string_view resource;
  std::string what;
  HttpRequest request;
  /// Asked when a retry that follows a doubtful first try is refused: is it what we wanted?
  std::function<std::optional<std::string>(const Error&)> settled;
};

RawClient::RawClient(std::unique_ptr<Transport> transport, ClientOptions options)
    : transport_(std::move(transport)), options_(std::move(options)) {}
RawClient::~RawClient() = default;

void RawClient::observe(const CallRecord& record) const {
  if (options_.observer) options_.observer(record);
}

Result<std::string> RawClient::run(const Call& call) {
  for (int attempt = 0;; ++attempt) {
    const BootTime begin = options_.clock->now();
    auto response = transport_->call(call.request, options_.deadline);
    const int status = response.has_value() ? response->status : 0;
    observe({call.verb, call.resource, status, options_.clock->now() - begin});
    if (status >= 200 && status < 300) return std::move(response->body);

    const auto error =
        response.has_value() ? errorOf(*response, call.what) : response.error().within(call.what);
    if (attempt > 0) {
      if (call.settled) {
        if (auto settled = call.settled(error)) return std::move(*settled);
      }
      return fail(error);
    }
    const bool lost = status == 0 && error.code != Code::InvalidArgument;
    if (!lost && !worthRetrying(status)) return fail(error);
    const auto asked = response.has_value() ? response->retryAfter : std::nullopt;
    if (asked && *asked > options_.maxRetryAfter) return fail(error);
    pause(*options_.clock, asked ? *asked : jittered(kRetryFirst));
  }
}

Result<std::string> RawClient::getPath(const std::string& target) {
  return run({"get", "path", "get " + target, {Method::Get, target, "", ""}, nullptr});
}

Result<std::string> RawClient::get(const Kind& kind, const ObjectKey& key) {
  return run({"get",
              kind.plural,
              what("get", kind, key),
              {Method::Get, pathOf(kind, key, Subresource::None), "", ""},
              nullptr});
}

Result<std::string> RawClient::listPage(const Kind& kind, const Selection& selection, int limit,
                                        const std::string& resume,
                                        const std::string& revisionAtLeast) {
  Query query;
  query.add("limit", std::to_string(limit));
  query.add("continue", resume);
  query.add("labelSelector", selection.labelSelector);
  query.add("fieldSelector", selection.fieldSelector);
  if (resume.empty() && !revisionAtLeast.empty()) {
    query.add("resourceVersion", revisionAtLeast);
    query.add("resourceVersionMatch", "NotOlderThan");
  }
  const ObjectKey everything{selection.nameSpace, ""};
  return run({"list",
              kind.plural,
              what("list", kind, everything),
              {Method::Get, pathOf(kind, everything, Subresource::None) + query.str(), "", ""},
              nullptr});
}

Result<std::string> RawClient::create(const Kind& kind, Json object,
                                      const std::function<bool(std::string_view)>& ours) {
  MULTINET_TRY(const auto key, keyOf(kind, object));
  nameKind(kind, object);
  Query query;
  query.add("fieldManager", options_.fieldManager);
  Call call{"create",
            kind.plural,
            what("create", kind, key),
            {Method::Post, pathOf(kind, {key.nameSpace, ""}, Subresource::None) + query.str(),
             "application/json", dump(object)},
            nullptr};
  if (ours) {
    call.settled = [&](const Error& error) -> std::optional<std::string> {
      if (error.code != Code::AlreadyExists) return std::nullopt;
      auto existing = get(kind, key);
      if (!existing.has_value() || !ours(*existing)) return std::nullopt;
      return *std::move(existing);
    };
  }
  return run(call);
}

Result<std::string> RawClient::update(const Kind& kind, Json object, Subresource subresource) {
  MULTINET_TRY(const auto key, keyOf(kind, object));
  nameKind(kind, object);
  Query query;
  query.add("fieldManager", options_.fieldManager);
  return run({"update",
              kind.plural,
              what("update", kind, key),
              {Method::Put, pathOf(kind, key, subresource) + query.str(), "application/json",
               dump(object)},
              nullptr});
}

Result<std::string> RawClient::patch(const Kind& kind, const ObjectKey& key, PatchType type,
                                     Json body, Subresource subresource, Conflicts conflicts) {
  Query query;
  query.add("fieldManager", options_.fieldManager);
  const bool applies = type == PatchType::Apply;
  if (applies && conflicts == Conflicts::Force) query.add("force", "true");
  if (applies) nameKind(kind, body);
  const std::string_view verb = applies ? "apply" : "patch";
  // JSON is YAML, so apply needs no YAML writer.
  return run(
      {verb,
       kind.plural,
       what(verb, kind, key),
       {Method::Patch, pathOf(kind, key, subresource) + query.str(),
        applies ? "application/apply-patch+yaml" : "application/merge-patch+json", dump(body)},
       nullptr});
}

Status RawClient::remove(const Kind& kind, const ObjectKey& key,
                         const Preconditions& preconditions) {
  Json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!preconditions.uid.empty()) body["preconditions"]["uid"] = preconditions.uid;
  if (!preconditions.resourceVersion.empty()) {
    body["preconditions"]["resourceVersion"] = preconditions.resourceVersion;
  }
  MULTINET_TRY(
      [[maybe_unused]] const auto answer,
      run({"delete",
           kind.plural,
           what("delete", kind, key),
           {Method::Delete, pathOf(kind, key, Subresource::None), "application/json", dump(body)},
           // The try whose reply was lost has deleted it.
           [](const Error& error) -> std::optional<std::string> {
             if (error.code != Code::NotFound) return std::nullopt;
             return std::string();
           }}));
  return {};
}

namespace {

std::string textIn(const simdjson::dom::element& object, std::string_view pointer) {
  std::string_view text;
  if (object.at_pointer(pointer).get(text)) return {};
  return std::string(text);
}

}  // namespace

Status readPage(const simdjson::dom::element& page, const std::string& what,
                const std::function<Status(const simdjson::dom::element&)>& item, PageEnd& end) {
  end.resume = textIn(page, "/metadata/continue");
  end.revision = textIn(page, "/metadata/resourceVersion");
  simdjson::dom::element items;
  // A Go server writes an empty list as null in places.
  if (page["items"].get(items) || items.is_null()) return {};
  simdjson::dom::array array;
  if (items.get(array)) return fail(Code::DataLoss, "BadList", what + ": items is no array");
  for (const auto object : array) MULTINET_CHECK(item(object));
  return {};
}

Result<std::string> listAll(RawClient& client, const Kind& kind, const Selection& selection,
                            const ListPaging& paging,
                            const std::function<Status(const simdjson::dom::element&)>& item) {
  PageEnd end;
  do {
    MULTINET_TRY(const auto body, client.listPage(kind, selection, paging.pageSize, end.resume,
                                                  paging.revisionAtLeast));
    MULTINET_CHECK(withJson(body, [&](const simdjson::dom::element& page) {
      return readPage(page, what("list", kind, {selection.nameSpace, ""}), item, end);
    }));
  } while (!end.resume.empty());
  return end.revision;
}

Result<std::unique_ptr<Client>> connect(const Config& config, ClientOptions options) {
  MULTINET_TRY(auto transport, makeTransport(config));
  return std::make_unique<Client>(std::move(transport), std::move(options));
}

}  // namespace multinet::kube
