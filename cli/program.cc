#include "cli/program.h"

#include "cli/command_line.h"
#include "cli/completion.h"
#include "cli/help.h"

namespace multinet::cli {

int run(const std::vector<std::string>& words, Streams streams, const Clock& clock,
        const Call::Rest& rest) {
  if (!words.empty() && words.front() == "__complete") {
    return runCompletion({words.begin() + 1, words.end()}, streams, clock);
  }
  const auto said = [&](const Error& error) {
    streams.err << "error: " << printable(error.message) << "\n";
    return kFailed;
  };
  auto line = parseCommandLine(words);
  if (!line) return said(line.error());
  if (line->verb == nullptr) {
    streams.out << helpOfAll();
    return kDone;
  }
  const Verb& verb = *line->verb;
  if (line->arguments.has("help")) {
    streams.out << helpOf(verb);
    return kDone;
  }
  Call call(std::move(line->arguments), streams, clock, rest);
  const auto code = verb.run(call);
  return code ? *code : said(code.error());
}

}  // namespace multinet::cli
