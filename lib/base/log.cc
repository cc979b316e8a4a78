#include "lib/base/log.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "lib/base/log_level.h"

namespace multinet::log {
namespace {

std::atomic<bool> json{false};

spdlog::level::level_enum levelOf(Level level) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
  return kLevels[static_cast<int>(level)];
}

// Keeps a line a line: quotes values that hold a space or worse, escapes control characters.
void appendQuoted(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

bool plain(std::string_view value) {
  return !value.empty() && value.find_first_of(" \"\\=\n\t\r") == std::string_view::npos;
}

std::string textLine(std::string_view message, Fields fields) {
  std::string line(message);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (plain(field.value)) {
      line += field.value;
    } else {
      appendQuoted(line, field.value);
    }
  }
  return line;
}

std::string jsonLine(std::string_view message, Fields fields) {
  std::string line = "\"message\":";
  appendQuoted(line, message);
  for (const Field& field : fields) {
    line += ',';
    appendQuoted(line, field.key);
    line += ':';
    appendQuoted(line, field.value);
  }
  return line;
}

void write(spdlog::level::level_enum level, std::string_view message, Fields fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(level)) return;
  logger->log(
      level, "{}",
      json.load(std::memory_order_relaxed) ? jsonLine(message, fields) : textLine(message, fields));
}

}  // namespace

void init(Format format, Level level) {
  json = format == Format::Json;
  // Each place for a line takes 400 bytes from the start on.
  spdlog::init_thread_pool(2048, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::async_logger>(
      "multinet", sink, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(levelOf(level));
  logger->set_pattern(format == Format::Json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                             : "%Y-%m-%dT%H:%M:%S.%eZ %^%L%$ %v",
                      spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

bool isOn(Level level) {
  return spdlog::default_logger_raw()->should_log(levelOf(level));
}

Result<Level> parseLevel(std::string_view text) {
  if (text == "debug") return Level::Debug;
  if (text == "info") return Level::Info;
  if (text == "warn") return Level::Warn;
  if (text == "error") return Level::Error;
  return fail(Code::InvalidArgument, "InvalidLogLevel",
              "log level \"" + std::string(text) + "\": must be debug, info, warn or error");
}

void flush() {
  spdlog::default_logger_raw()->flush();
  const auto writer = spdlog::thread_pool();
  if (writer == nullptr) return;  // without init() each line is written at once
  // Its one thread takes the flush out of the queue only after it has written all before it. A
  // reader that takes nothing isn't waited for.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (writer->queue_size() > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void debug(std::string_view message, Fields fields) {
  write(spdlog::level::debug, message, fields);
}
void info(std::string_view message, Fields fields) {
  write(spdlog::level::info, message, fields);
}
void warn(std::string_view message, Fields fields) {
  write(spdlog::level::warn, message, fields);
}
void error(std::string_view message, Fields fields) {
  write(spdlog::level::err, message, fields);
}

}  // namespace multinet::log
