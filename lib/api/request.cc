#include "lib/api/request.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "lib/api/names.h"
#include "lib/api/parts.h"

namespace multinet::api {
namespace {

constexpr std::string_view kAttachmentPrefix = "attachment/";
constexpr std::size_t kShown = 80;

/// Printable and short: an annotation may hold anything.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kShown)) {
    if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7F) {
      out += c;
    } else {
      std::array<char, 5> hex{};
      (void)std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned char>(c));
      out += hex.data();
    }
  }
  return text.size() > kShown ? out + "..." : out;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Violation broken(std::string_view value, std::string detail, std::string remedy,
                 std::string reason) {
  return {parts::requestPath(), shown(value),      std::move(detail),
          std::move(remedy),    std::move(reason), Code::InvalidArgument};
}

/// `item 2: "b@d"` in a violation's words: the number belongs to the path.
Violation brokenItem(std::size_t number, std::string_view value, std::string detail,
                     std::string remedy, std::string reason) {
  Violation out = broken(value, std::move(detail), std::move(remedy), std::move(reason));
  out.path += " item " + std::to_string(number);
  return out;
}

Violation slashViolation(std::size_t number, std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view before = text.substr(0, slash);
  const std::string_view after = text.substr(slash + 1);
  if (before == "network" || before == "podnetwork") {
    return brokenItem(number, text, "has a prefix that networks don't have",
                      "write " + shown(after), "UnknownKind");
  }
  const std::string inner(after.substr(after.rfind('/') + 1));
  return brokenItem(number, text, "points into another namespace, which a request can't do",
                    "write " + shown(inner) + " for the PodNetwork, or attachment/" + shown(inner) +
                        " for a PodNetworkAttachment of the pod's own namespace",
                    "OtherNamespace");
}

std::optional<char> illegalIn(std::string_view text, std::string_view more) {
  for (const char c : text) {
    const bool legal =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
    if (!legal) return c;
  }
  return std::nullopt;
}

Violation nameViolation(std::size_t number, std::string_view item, std::string_view name,
                        RequestKind kind) {
  const bool network = kind == RequestKind::Network;
  const std::string rule =
      network ? "a PodNetwork's name is at most 63 of a-z, 0-9 and -, such as blue"
              : "a PodNetworkAttachment's name is at most 253 of a-z, 0-9, - and ., such as nas";
  if (name.empty()) {
    return brokenItem(number, item, "names nothing", "write attachment/NAME", "EmptyItem");
  }
  if (const auto c = illegalIn(name, network ? "-" : "-.")) {
    return brokenItem(number, item, "has the illegal character '" + shown({&*c, 1}) + "'", rule,
                      "IllegalCharacter");
  }
  return brokenItem(number, item, "is no legal name", rule, "IllegalName");
}

tl::expected<RequestItem, Violation> parseItem(std::size_t number, std::string_view text) {
  if (text.empty()) {
    return tl::unexpected(brokenItem(number, text, "is empty",
                                     "remove the comma beside it, or name a network", "EmptyItem"));
  }
  if (text.starts_with(kAttachmentPrefix)) {
    const std::string_view name = text.substr(kAttachmentPrefix.size());
    if (name.find('/') != std::string_view::npos) {
      return tl::unexpected(slashViolation(number, name));
    }
    if (isDnsSubdomain(name)) return RequestItem{RequestKind::Attachment, std::string(name)};
    return tl::unexpected(nameViolation(number, text, name, RequestKind::Attachment));
  }
  if (text.find('/') != std::string_view::npos) {
    return tl::unexpected(slashViolation(number, text));
  }
  if (isDnsLabel(text)) return RequestItem{RequestKind::Network, std::string(text)};
  return tl::unexpected(nameViolation(number, text, text, RequestKind::Network));
}

/// What is wrong with the whole, before it is cut into items.
std::optional<Violation> checkWhole(std::string_view text) {
  const std::string_view inner = trim(text);
  if (inner.empty()) {
    return broken(text, "is empty", "remove the annotation, or name a network", "EmptyRequest");
  }
  if (text.size() > kMaxRequestBytes) {
    return broken(text, "has " + std::to_string(text.size()) + " bytes",
                  "write at most " + std::to_string(kMaxRequestBytes), "RequestTooLong");
  }
  if (inner.front() == '{' || inner.front() == '[' || inner.front() == '"') {
    return broken(text, "is JSON", "write names with commas, such as: blue, attachment/nas",
                  "JSONRequest");
  }
  return std::nullopt;
}

}  // namespace

std::string parts::requestPath() {
  return std::string("metadata.annotations[") + kNetworksAnnotation + "]";
}

std::string RequestItem::str() const {
  return kind == RequestKind::Attachment ? std::string(kAttachmentPrefix) + name : name;
}

tl::expected<PodRequest, Violations> parseRequest(std::string_view text) {
  if (auto whole = checkWhole(text)) return tl::unexpected(Violations{std::move(*whole)});
  PodRequest request;
  std::vector<std::size_t> numbers;
  Violations violations;
  std::size_t number = 0;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    const std::string_view item = trim(text.substr(start, end - start));
    start = end + 1;
    if (++number > kMaxInterfaces) continue;  // counted, not told one by one
    auto parsed = parseItem(number, item);
    if (!parsed) {
      violations.push_back(std::move(parsed).error());
      continue;
    }
    const auto same = std::find(request.items.begin(), request.items.end(), *parsed);
    if (same != request.items.end()) {
      const auto first = numbers[static_cast<std::size_t>(same - request.items.begin())];
      violations.push_back(brokenItem(number, item, "repeats item " + std::to_string(first),
                                      "name each once", "DuplicateItem"));
      continue;
    }
    request.items.push_back(std::move(*parsed));
    numbers.push_back(number);
  }
  if (number > kMaxInterfaces) {
    violations.push_back(broken(text, "has " + std::to_string(number) + " items",
                                "ask for at most " + std::to_string(kMaxInterfaces),
                                "TooManyInterfaces"));
  }
  if (!violations.empty()) return tl::unexpected(std::move(violations));
  return request;
}

bool asksByAttachment(std::string_view text) {
  const auto request = parseRequest(text);
  return request.has_value() && std::ranges::any_of(request->items, [](const RequestItem& item) {
           return item.kind == RequestKind::Attachment;
         });
}

}  // namespace multinet::api
