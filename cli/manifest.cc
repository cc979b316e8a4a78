#include "cli/manifest.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iostream>
#include <iterator>
#include <optional>

#include "cli/output.h"
#include "lib/base/fd.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

/// More than any object has, less than a stack holds.
constexpr int kDeepest = 100;
constexpr std::size_t kMostValues = 1'000'000;

tl::unexpected<Error> wrong(const char* reason, std::string message) {
  return fail(Code::InvalidArgument, reason, std::move(message));
}

template <std::size_t N>
bool isOne(const std::string& word, const std::array<const char*, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

/// `0x50`, `0o17`, `017`, `0b11`, `1_000`: whole numbers of YAML 1.1, as Go reads them.
std::optional<json> wholeNumber(std::string word) {
  std::erase(word, '_');
  const bool isNegative = word.starts_with('-');
  if (isNegative || word.starts_with('+')) word.erase(0, 1);
  int base = 10;
  std::size_t from = 0;
  const auto begins = [&](const char* lower, const char* upper) {
    return word.starts_with(lower) || word.starts_with(upper);
  };
  if (begins("0x", "0X")) {
    base = 16;
    from = 2;
  } else if (begins("0b", "0B")) {
    base = 2;
    from = 2;
  } else if (begins("0o", "0O")) {
    base = 8;
    from = 2;
  } else if (word.size() > 1 && word.starts_with('0')) {
    base = 8;
    from = 1;
  }
  std::int64_t number = 0;
  const char* end = word.data() + word.size();
  const auto read = std::from_chars(word.data() + from, end, number, base);
  if (read.ec != std::errc() || read.ptr != end || number < 0) return std::nullopt;
  return isNegative ? -number : number;
}

/// What is quoted is text.
json typed(const YAML::Node& node) {
  static constexpr std::array kNothing = {"", "~", "null", "Null", "NULL"};
  static constexpr std::array kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                       "True", "TRUE", "on",  "On",  "ON"};
  static constexpr std::array kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                        "False", "FALSE", "off", "Off", "OFF"};
  const std::string& word = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return word;
  if (isOne(word, kNothing)) return nullptr;
  if (isOne(word, kTrue)) return true;
  if (isOne(word, kFalse)) return false;
  if (auto number = wholeNumber(word)) return *std::move(number);
  auto number = json::parse(word, nullptr, false);
  return number.is_number() ? number : json(word);
}

/// Of one text. An alias may stand for much, and for what it stands in.
class Converter {
 public:
  Result<json> convert(const YAML::Node& node, int depth = 0) {
    if (depth > kDeepest) {
      return wrong("InvalidYAML", "more than " + std::to_string(kDeepest) +
                                      " maps and lists stand inside of each other: is an alias "
                                      "inside of what it names?");
    }
    if (++made_ > kMostValues) {
      return wrong("InvalidYAML", "more than " + std::to_string(kMostValues) +
                                      " values are in it, those that aliases stand for included");
    }
    if (node.IsMap()) return mapOf(node, depth);
    if (!node.IsSequence()) return node.IsScalar() ? typed(node) : json();
    json out = json::array();
    for (const auto& item : node) {
      MULTINET_TRY(auto value, convert(item, depth + 1));
      out.push_back(std::move(value));
    }
    return out;
  }

 private:
  Result<json> mapOf(const YAML::Node& node, int depth) {
    json out = json::object();
    for (const auto& member : node) {
      if (!member.first.IsScalar()) return wrong("InvalidYAML", "a field's name must be a word");
      const std::string& name = member.first.Scalar();
      if (name == "<<" && member.first.Tag() != "!") {
        return wrong("InvalidYAML", "\"<<\" isn't read here: write the fields out");
      }
      if (out.contains(name)) {
        return wrong("Duplicate", "field \"" + printable(name) + "\" stands twice in one map");
      }
      MULTINET_TRY(out[name], convert(member.second, depth + 1));
    }
    return out;
  }

  std::size_t made_ = 0;
};

/// At most as much as of a file.
Result<std::string> readStandardInput() {
  constexpr std::size_t kMost = 1U << 20U;
  std::string text;
  std::array<char, 16384> buffer{};
  while (std::cin.read(buffer.data(), buffer.size()) || std::cin.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMost) {
      return fail(Code::ResourceExhausted, "FileTooLarge",
                  "read standard input: larger than " + std::to_string(kMost) + " bytes");
    }
  }
  return text;
}

Status add(json object, const std::string& place, std::vector<Written>& out) {
  if (!object.is_object()) {
    return wrong("NotAnObject", place + ": must be an object, a map of fields; is " +
                                    (object.is_array() ? "a list" : "a scalar"));
  }
  const json kind = object.value("kind", json());
  if (!kind.is_string() || kind.get<std::string>().empty()) {
    return wrong("KindMissing", place + ": kind: is missing");
  }
  const auto items = object.find("items");
  if (kind.get<std::string>().ends_with("List") && items != object.end() && items->is_array()) {
    for (std::size_t i = 0; i < items->size(); ++i) {
      MULTINET_CHECK(add(items->at(i), place + ": items[" + std::to_string(i) + "]", out));
    }
    return {};
  }
  out.push_back({std::move(object), place});
  return {};
}

}  // namespace

Result<std::vector<Written>> readObjects(std::string_view text, const std::string& source) {
  std::vector<Written> out;
  Converter converter;
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const std::string place =
          source + (documents.size() > 1 ? ", document " + std::to_string(i + 1) : "");
      auto object = converter.convert(documents[i]);
      if (!object) return fail(object.error().within(place));
      if (!object->is_null()) MULTINET_CHECK(add(*std::move(object), place, out));
    }
  } catch (const YAML::Exception& error) {
    return wrong("InvalidYAML", "read " + source + ": " + error.what());
  }
  return out;
}

Result<std::vector<Written>> readManifests(const std::vector<std::string>& files) {
  std::vector<Written> out;
  for (const auto& file : files) {
    const bool isInput = file == "-";
    MULTINET_TRY(const auto text, isInput ? readStandardInput() : readFile(file));
    MULTINET_TRY(auto objects, readObjects(text, isInput ? "standard input" : printable(file)));
    std::ranges::move(objects, std::back_inserter(out));
  }
  return out;
}

}  // namespace multinet::cli
