#include "test/support/ask.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace multinet::testing {
namespace {

std::string decodePercent(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

Ask Ask::parse(std::string method, std::string target, std::string_view body,
               std::string contentType) {
  Ask ask;
  ask.method = std::move(method);
  ask.target = std::move(target);
  ask.contentType = std::move(contentType);
  ask.body = Json::parse(body, nullptr, false);
  const auto mark = ask.target.find('?');
  ask.path = ResourcePath::parse(ask.target.substr(0, mark));
  std::string_view rest = mark == std::string::npos ? std::string_view()
                                                    : std::string_view(ask.target).substr(mark + 1);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equals = std::min(pair.find('='), pair.size());
    ask.query[decodePercent(pair.substr(0, equals))] =
        decodePercent(pair.substr(std::min(pair.size(), equals + 1)));
  }
  return ask;
}

std::string Ask::at(const std::string& key) const {
  const auto found = query.find(key);
  return found == query.end() ? std::string() : found->second;
}

std::uint64_t Ask::number(const std::string& key) const {
  return std::strtoull(at(key).c_str(), nullptr, 10);
}

StoreAnswer execute(ObjectStore& store, const Ask& ask) {
  const auto& path = ask.path;
  if (ask.target == "/version") return {200, {{"major", "1"}, {"minor", "37"}}};
  if (path.collection.empty()) return failure(404, "NotFound", "no such path");
  if (ask.method != "GET" && ask.method != "DELETE" && ask.body.is_discarded()) {
    return failure(400, "BadRequest", "the body is no JSON");
  }
  if (ask.method == "GET" && path.name.empty()) {
    return store.list(path, ask.at("labelSelector"), ask.at("fieldSelector"), ask.number("limit"),
                      ask.at("continue"));
  }
  if (ask.method == "GET") return store.get(path);
  if (ask.method == "POST") return store.create(path, ask.body);
  if (ask.method == "PUT") return store.update(path, ask.body);
  if (ask.method == "DELETE") return store.remove(path, ask.body);
  const bool applies = ask.contentType.starts_with("application/apply-patch");
  return store.patch(path, ask.body,
                     applies ? ObjectStore::IfAbsent::Create : ObjectStore::IfAbsent::Fail);
}

}  // namespace multinet::testing
