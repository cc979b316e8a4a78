// How answers look: tables for people, JSON and YAML for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::cli {

enum class Format : std::uint8_t { Table, Wide, Name, Json, Yaml, JsonPath };
struct Output {
  Format format = Format::Table;
  std::string jsonPath;  // of Format::JsonPath
};
/// `table`, `wide`, `name`, `json`, `yaml` or `jsonpath=TEMPLATE`; empty: a table.
[[nodiscard]] Result<Output> parseOutput(std::string_view text);

enum class Colour : std::uint8_t { Never, Always };
/// Always on a terminal that has colours and where NO_COLOR isn't set.
[[nodiscard]] Colour colourOf(int fd);

/// How a cell's text is meant; shown by colour only, never by colour alone.
enum class Mood : std::uint8_t { Plain, Good, Bad, Unsure };
/// Of a condition's status; what is neither True nor False is unsure.
[[nodiscard]] Mood moodOf(const std::string& status);

struct Cell {
  std::string text;  // empty is shown as `-`
  Mood mood = Mood::Plain;
};

struct Column {
  std::string title;
  bool wideOnly = false;
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;   // a cell for each column, wide ones too
  std::vector<std::size_t> widths = {};  // of the columns at least
};
/// What `table` needs, so that later rows stand under those of before.
[[nodiscard]] std::vector<std::size_t> widthsOf(const Table& table);

/// Columns three spaces apart as kubectl prints them. Control characters are shown as `?`: what
/// stands in an object must not drive a terminal.
[[nodiscard]] std::string render(const Table& table, Format format, Colour colour);
/// The rows alone.
[[nodiscard]] std::string renderRows(const Table& table, Format format, Colour colour);

/// Control characters shown as `?`, nothing as `-`.
[[nodiscard]] std::string printable(const std::string& text);
/// Characters, not bytes: UTF-8 continuation bytes take no room.
[[nodiscard]] std::size_t width(std::string_view text);
/// In the mood's colour where there are colours.
[[nodiscard]] std::string paint(const std::string& text, Mood mood, Colour colour);

/// A YAML document of a JSON value; strings that YAML would read as something else are quoted.
[[nodiscard]] std::string toYaml(const nlohmann::json& value);
/// A JSON document, with a line for each member; what isn't UTF-8 is replaced.
[[nodiscard]] std::string toJsonText(const nlohmann::json& value);
/// The one where `format` is Yaml, else the other.
[[nodiscard]] std::string toDocument(const nlohmann::json& value, Format format);

/// `5m`, `3h12m`, `8d`: as kubectl tells ages.
[[nodiscard]] std::string age(std::int64_t seconds);
/// Of an RFC 3339 time; empty where it isn't one.
[[nodiscard]] std::string ageOf(const std::string& time, WallTime now);

}  // namespace multinet::cli
