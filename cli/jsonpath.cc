#include "cli/jsonpath.h"

#include <charconv>
#include <optional>
#include <vector>

namespace multinet::cli {
namespace {

using nlohmann::json;
using Matches = std::vector<json>;

tl::unexpected<Error> wrong(std::string_view expression, const std::string& why) {
  return fail(Code::InvalidArgument, "InvalidJSONPath",
              "jsonpath \"" + std::string(expression) + "\": " + why);
}

std::string shown(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// One path: `.items[?(@.a=="b")].c`.
class Path {
 public:
  explicit Path(std::string_view text) : text_(text) {}

  Result<Matches> run(const json& root) {
    Matches now{root};
    if (rest().starts_with('$') || rest().starts_with('@')) ++at_;
    while (!rest().empty()) {
      if (rest().starts_with("..")) {
        at_ += 2;
        now = step(now, Step{Kind::Descend, name(), 0});
      } else if (rest().starts_with('.')) {
        ++at_;
        if (rest().empty()) break;
        if (rest().starts_with('[')) continue;
        const std::string key = name();
        if (key.empty()) return wrong(text_, "a name must follow the dot");
        now = step(now, key == "*" ? Step{Kind::All, "", 0} : Step{Kind::Key, key, 0});
      } else if (rest().starts_with('[')) {
        MULTINET_TRY(now, bracket(now));
      } else {
        return wrong(text_, "\"" + std::string(rest()) + "\" must begin with a dot or a bracket");
      }
    }
    return now;
  }

 private:
  enum class Kind { Key, All, Index, Descend };
  struct Step {
    Kind kind;
    std::string key;
    long index;
  };

  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }

  std::string name() {
    std::string out;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;  // `multinet\.dev/networks`
      out += text_[at_++];
    }
    return out;
  }

  Result<Matches> bracket(const Matches& now) {
    const auto close = closing();
    if (!close) return wrong(text_, "the bracket isn't closed");
    const std::string_view inside = text_.substr(at_ + 1, *close - at_ - 1);
    at_ = *close + 1;
    if (inside == "*") return step(now, {Kind::All, "", 0});
    if (inside.starts_with("?(") && inside.ends_with(')')) {
      return filter(now, inside.substr(2, inside.size() - 3));
    }
    if (inside.size() >= 2 && (inside.front() == '\'' || inside.front() == '"')) {
      return step(now, {Kind::Key, std::string(inside.substr(1, inside.size() - 2)), 0});
    }
    long index = 0;
    const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), index);
    if (error != std::errc() || end != inside.data() + inside.size()) {
      return wrong(text_, "\"[" + std::string(inside) + "]\" is no number, * or ?(...)");
    }
    return step(now, {Kind::Index, "", index});
  }

  /// Of the bracket at at_, past quotes.
  [[nodiscard]] std::optional<std::size_t> closing() const {
    char quote = 0;
    int depth = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      const char letter = text_[i];
      if (quote != 0) {
        if (letter == quote) quote = 0;
      } else if (letter == '\'' || letter == '"') {
        quote = letter;
      } else if (letter == '[') {
        ++depth;
      } else if (letter == ']' && --depth == 0) {
        return i;
      }
    }
    return std::nullopt;
  }

  /// `@.type=="Ready"`, `@.mtu>=9000`, `@.vni`.
  Result<Matches> filter(const Matches& now, std::string_view condition) const {
    static constexpr std::string_view kOperators[] = {"==", "!=", ">=", "<=", ">", "<"};
    std::string_view left = condition;
    std::string_view right;
    std::string_view op;
    for (const std::string_view one : kOperators) {
      const auto found = condition.find(one);
      if (found == std::string_view::npos) continue;
      left = trimmed(condition.substr(0, found));
      right = trimmed(condition.substr(found + one.size()));
      op = one;
      break;
    }
    json wanted;
    if (!op.empty()) {
      std::string literal(right);
      if (literal.size() >= 2 && literal.front() == '\'')
        literal = json(literal.substr(1, literal.size() - 2)).dump();
      wanted = json::parse(literal, nullptr, false);
      if (wanted.is_discarded()) return wrong(text_, "\"" + literal + "\" is no value");
    }
    Matches out;
    for (const json& list : now) {
      for (const json& item : list.is_array() ? list : json::array()) {
        MULTINET_TRY(const auto found, Path(left).run(item));
        if (op.empty() ? !found.empty() : !found.empty() && holds(found.front(), op, wanted)) {
          out.push_back(item);
        }
      }
    }
    return out;
  }

  static std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  }

  static bool holds(const json& value, std::string_view op, const json& wanted) {
    if (op == "==") return value == wanted;
    if (op == "!=") return value != wanted;
    if (value.is_number() != wanted.is_number()) return false;
    if (op == ">=") return value >= wanted;
    if (op == "<=") return value <= wanted;
    return op == ">" ? value > wanted : value < wanted;
  }

  static void descend(const json& value, const std::string& key, Matches& out) {
    if (value.is_object() && value.contains(key)) out.push_back(value.at(key));
    if (value.is_structured()) {
      for (const json& item : value) descend(item, key, out);
    }
  }

  static Matches step(const Matches& now, const Step& step) {
    Matches out;
    for (const json& value : now) {
      switch (step.kind) {
        case Kind::Key:
          if (value.is_object() && value.contains(step.key)) out.push_back(value.at(step.key));
          break;
        case Kind::All:
          if (value.is_structured()) out.insert(out.end(), value.begin(), value.end());
          break;
        case Kind::Index: {
          const long size = value.is_array() ? static_cast<long>(value.size()) : 0;
          const long index = step.index < 0 ? size + step.index : step.index;
          if (index >= 0 && index < size) out.push_back(value.at(static_cast<std::size_t>(index)));
          break;
        }
        case Kind::Descend:
          descend(value, step.key, out);
          break;
      }
    }
    return out;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

/// Text and expressions in braces, with `range` and `end`.
class Template {
 public:
  explicit Template(std::string_view text) : text_(text) {}

  Status run(const json& object, std::string& out) {
    at_ = 0;
    return block(object, out);
  }

 private:
  /// Up to its `{end}` or the end of all.
  Status block(const json& object, std::string& out) {
    while (at_ < text_.size()) {
      const auto open = text_.find('{', at_);
      out += text_.substr(at_, open == std::string_view::npos ? open : open - at_);
      if (open == std::string_view::npos) {
        at_ = text_.size();
        return {};
      }
      const auto close = closing(open);
      if (!close) return wrong(text_, "the brace isn't closed");
      const std::string_view inside = text_.substr(open + 1, *close - open - 1);
      at_ = *close + 1;
      if (inside == "end") return {};
      MULTINET_CHECK(one(inside, object, out));
    }
    return {};
  }

  Status one(std::string_view inside, const json& object, std::string& out) {
    if (inside.starts_with("range ")) {
      MULTINET_TRY(const auto items, Path(inside.substr(6)).run(object));
      const auto body = at_;
      if (items.empty()) {
        std::string ignored;
        return block(json(), ignored);
      }
      for (const json& item : items) {
        at_ = body;
        MULTINET_CHECK(block(item, out));
      }
      return {};
    }
    if (inside.size() >= 2 && (inside.front() == '"' || inside.front() == '\'')) {
      std::string quoted(inside);
      quoted.front() = quoted.back() = '"';
      const auto literal = json::parse(quoted, nullptr, false);
      if (!literal.is_string()) return wrong(text_, quoted + " is no text");
      out += literal.get<std::string>();
      return {};
    }
    MULTINET_TRY(const auto found, Path(inside).run(object));
    for (std::size_t i = 0; i < found.size(); ++i) out += (i == 0 ? "" : " ") + shown(found[i]);
    return {};
  }

  [[nodiscard]] std::optional<std::size_t> closing(std::size_t open) const {
    char quote = 0;
    for (std::size_t i = open; i < text_.size(); ++i) {
      const char letter = text_[i];
      if (quote != 0) {
        if (letter == '\\') {
          ++i;
        } else if (letter == quote) {
          quote = 0;
        }
      } else if (letter == '"' || letter == '\'') {
        quote = letter;
      } else if (letter == '}') {
        return i;
      }
    }
    return std::nullopt;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> runJsonPath(std::string_view tmpl, const json& object) {
  // kubectl takes a bare path too.
  const std::string braced =
      tmpl.find('{') == std::string_view::npos ? "{" + std::string(tmpl) + "}" : std::string(tmpl);
  std::string out;
  MULTINET_CHECK(Template(braced).run(object, out));
  return out;
}

}  // namespace multinet::cli
