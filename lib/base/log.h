// Logs: a constant message and fields, one line a change of state.
//
//   log::info("attached interface", {{"pod", pod}, {"interface", name}, {"ifindex", index}});
//
// Text for people or JSON for programs, on standard error. Thread-safe; a slow reader loses the
// oldest lines rather than holding up a caller.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "lib/base/ids.h"
#include "lib/base/result.h"

namespace multinet::log {

enum class Format { Text, Json };
enum class Level { Debug, Info, Warn, Error };

/// A key and what it holds, rendered when the line is written.
struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  Field(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, std::floating_point auto v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, const multinet::Error& v) : key(k), value(v.message) {}
  template <class Tag>
  Field(std::string_view k, const Id<Tag>& v) : key(k), value(v.str()) {}

  std::string_view key;
  std::string value;
};
using Fields = std::initializer_list<Field>;

/// Once at start, before threads. Without it: text at level Info.
void init(Format format, Level level);
/// `debug`, `info`, `warn` or `error`.
[[nodiscard]] Result<Level> parseLevel(std::string_view text);
/// Writes out what is buffered; before `_exit`.
void flush();

void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warn(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace multinet::log
