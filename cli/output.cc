#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "cli/nearest.h"

namespace multinet::cli {
namespace {

constexpr std::array<std::pair<std::string_view, Format>, 5> kFormats = {{{"table", Format::Table},
                                                                          {"wide", Format::Wide},
                                                                          {"name", Format::Name},
                                                                          {"json", Format::Json},
                                                                          {"yaml", Format::Yaml}}};
constexpr std::string_view kJsonPath = "jsonpath=";

std::string_view colourCode(Mood mood) {
  switch (mood) {
    case Mood::Good:
      return "\033[32m";
    case Mood::Bad:
      return "\033[31m";
    case Mood::Unsure:
      return "\033[33m";
    case Mood::Plain:
      break;
  }
  return "";
}

bool plainYaml(const std::string& text) {
  static constexpr std::array<std::string_view, 12> kWords = {
      "true", "false", "yes", "no", "on", "off", "null", "~", "y", "n", "nan", "inf"};
  if (text.empty()) return false;
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  if (std::ranges::find(kWords, lower) != kWords.end()) return false;
  const bool safe = std::ranges::all_of(text, [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' || letter == '.' ||
           letter == '/';
  });
  // Letters first: nothing that reads as a number, a date or a base-60 value.
  const bool letterFirst = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
  return safe && letterFirst;
}

std::string yamlString(const std::string& text) {
  if (plainYaml(text)) return text;
  // JSON's strings are YAML's double-quoted ones.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string yamlScalar(const nlohmann::json& value) {
  return value.is_string() ? yamlString(value.get<std::string>()) : value.dump();
}

bool isBlock(const nlohmann::json& value) {
  return value.is_structured() && !value.empty();
}

// Depth is the depth of the API's own objects, which its server bounds.
void writeYaml(const nlohmann::json& value, const std::string& indent, std::string& out) {
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      out += indent + yamlString(key) + ":";
      if (!isBlock(item)) {
        out += " " + yamlScalar(item) + "\n";
        continue;
      }
      out += '\n';
      writeYaml(item, item.is_array() ? indent : indent + "  ", out);
    }
    return;
  }
  for (const auto& item : value) {
    if (!isBlock(item)) {
      out += indent + "- " + yamlScalar(item) + "\n";
      continue;
    }
    std::string inner;
    writeYaml(item, indent + "  ", inner);
    inner[indent.size()] = '-';
    out += inner;
  }
}

}  // namespace

std::string printable(const std::string& text) {
  if (text.empty()) return "-";
  std::string safe = text;
  for (auto& letter : safe) {
    const auto code = static_cast<unsigned char>(letter);
    if (code < 0x20 || code == 0x7F) letter = '?';
  }
  return safe;
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char letter) { return (static_cast<unsigned char>(letter) & 0xC0U) != 0x80U; }));
}

Mood moodOf(const std::string& status) {
  return status == "True" ? Mood::Good : status == "False" ? Mood::Bad : Mood::Unsure;
}

std::string paint(const std::string& text, Mood mood, Colour colour) {
  if (colour == Colour::Never || mood == Mood::Plain) return text;
  return std::string(colourCode(mood)) + text + "\033[0m";
}

Result<Output> parseOutput(std::string_view text) {
  if (text.empty()) return Output{};
  for (const auto& [word, format] : kFormats) {
    if (word == text) return Output{format, {}};
  }
  if (text.starts_with(kJsonPath)) {
    return Output{Format::JsonPath, std::string(text.substr(kJsonPath.size()))};
  }
  std::vector<std::string> words;
  words.reserve(kFormats.size());
  for (const auto& [word, format] : kFormats) words.emplace_back(word);
  return fail(Code::InvalidArgument, "UnknownFormat",
              "flag --output \"" + std::string(text) +
                  "\": must be table, wide, name, json, yaml or jsonpath=TEMPLATE" +
                  didYouMean(text, words));
}

Colour colourOf(int fd) {
  // Read once, before threads.
  const char* terminal = std::getenv("TERM");               // NOLINT(concurrency-mt-unsafe)
  const bool refused = std::getenv("NO_COLOR") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  const bool able = terminal != nullptr && std::string_view(terminal) != "dumb";
  return ::isatty(fd) == 1 && able && !refused ? Colour::Always : Colour::Never;
}

std::vector<std::size_t> widthsOf(const Table& table) {
  std::vector<std::size_t> widths = table.widths;
  widths.resize(table.columns.size());
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    widths[index] = std::max(widths[index], width(table.columns[index].title));
    for (const auto& row : table.rows) {
      widths[index] = std::max(widths[index], width(printable(row[index].text)));
    }
  }
  return widths;
}

namespace {

/// A table's lines one by one.
class Lines {
 public:
  Lines(const Table& table, Format format, Colour colour)
      : table_(table), format_(format), colour_(colour), widths_(widthsOf(table)) {}

  [[nodiscard]] std::string line(const std::vector<Cell>& cells) const {
    std::string text;
    std::size_t missing = 0;  // blanks go before the next cell, so that no line ends in them
    for (std::size_t index = 0; index < cells.size(); ++index) {
      if (table_.columns[index].wideOnly && format_ != Format::Wide) continue;
      const auto plain = printable(cells[index].text);
      text += std::string(missing, ' ') + paint(plain, cells[index].mood, colour_);
      missing = widths_[index] - width(plain) + 3;
    }
    return text + "\n";
  }

 private:
  const Table& table_;
  const Format format_;
  const Colour colour_;
  const std::vector<std::size_t> widths_;
};

}  // namespace

std::string render(const Table& table, Format format, Colour colour) {
  std::vector<Cell> titles;
  titles.reserve(table.columns.size());
  for (const auto& column : table.columns) titles.push_back({column.title});
  return Lines(table, format, colour).line(titles) + renderRows(table, format, colour);
}

std::string renderRows(const Table& table, Format format, Colour colour) {
  const Lines lines(table, format, colour);
  std::string out;
  for (const auto& row : table.rows) out += lines.line(row);
  return out;
}

std::string toYaml(const nlohmann::json& value) {
  if (!isBlock(value)) return yamlScalar(value) + "\n";
  std::string out;
  writeYaml(value, "", out);
  return out;
}

std::string toJsonText(const nlohmann::json& value) {
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string toDocument(const nlohmann::json& value, Format format) {
  return format == Format::Yaml ? toYaml(value) : toJsonText(value);
}

std::string age(std::int64_t seconds) {
  if (seconds < 0) return "0s";
  if (seconds < 120) return std::to_string(seconds) + "s";
  const auto minutes = seconds / 60;
  if (minutes < 10) {
    const auto rest = seconds % 60;
    return std::to_string(minutes) + "m" + (rest != 0 ? std::to_string(rest) + "s" : "");
  }
  if (minutes < 180) return std::to_string(minutes) + "m";
  const auto hours = minutes / 60;
  if (hours < 8) {
    const auto rest = minutes % 60;
    return std::to_string(hours) + "h" + (rest != 0 ? std::to_string(rest) + "m" : "");
  }
  if (hours < 48) return std::to_string(hours) + "h";
  return std::to_string(hours / 24) + "d";
}

std::string ageOf(const std::string& time, WallTime now) {
  const auto parsed = parseTime(time);
  if (!parsed) return {};
  return age(std::chrono::duration_cast<std::chrono::seconds>(now - *parsed).count());
}

}  // namespace multinet::cli
