#include "cli/command_line.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "cli/nearest.h"

namespace multinet::cli {
namespace {

tl::unexpected<Error> wrong(std::string message) {
  return fail(Code::InvalidArgument, "InvalidCommandLine", std::move(message));
}

std::string shown(const Flag& flag) {
  return "--" + std::string(flag.name);
}

/// A word that begins a flag, with the value that is in it: `--output=json`, `-ojson`, `-o=json`.
struct FlagWord {
  Flag flag;
  std::optional<std::string> value;
  std::string rest;  // further letters of switches: `-Aw`
};

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& words) : words_(words) {}

  Result<CommandLine> run() {
    MULTINET_CHECK(findTheVerb());
    for (at_ = 0; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (!ended_ && word == "--") {
        ended_ = true;
      } else if (!ended_ && word.size() > 1 && word[0] == '-') {
        MULTINET_CHECK(takeFlag(word));
      } else if (at_ != verbAt_) {
        line_.arguments.operands.push_back(word);
      }
    }
    if (line_.verb != nullptr && !line_.arguments.has("help")) MULTINET_CHECK(countOperands());
    return std::move(line_);
  }

 private:
  /// The first word that is neither a flag nor the value of one.
  Status findTheVerb() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (word.size() > 1 && word[0] == '-') {
        if (takesNext(word)) ++i;
        continue;
      }
      verbAt_ = i;
      line_.verb = findVerb(word);
      if (line_.verb != nullptr) return {};
      std::vector<std::string> names;
      for (const Verb& verb : verbs()) names.emplace_back(verb.name);
      return wrong("unknown verb \"" + word + "\"" + didYouMean(word, names) +
                   (nearest(word, names).empty() ? "; kubectl multinet help lists them" : ""));
    }
    return {};
  }

  /// Before the verb is known a flag may be any verb's; those of one name are of one shape.
  static bool takesNext(const std::string& word) {
    if (word.find('=') != std::string::npos) return false;
    const auto isIt = [&word](const Flag& flag) {
      const bool letter = word.size() == 2 && word[1] == flag.letter;
      return !flag.value.empty() && (letter || word == shown(flag));
    };
    if (std::ranges::any_of(commonFlags(), isIt)) return true;
    return std::ranges::any_of(
        verbs(), [&](const Verb& verb) { return std::ranges::any_of(verb.flags, isIt); });
  }

  [[nodiscard]] std::vector<Flag> known() const {
    if (line_.verb != nullptr) return flagsOf(*line_.verb);
    return {commonFlags().begin(), commonFlags().end()};
  }

  Result<FlagWord> read(const std::string& word) const {
    const auto flags = known();
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      const auto found = std::ranges::find(flags, name, &Flag::name);
      if (found == flags.end()) return unknown("--" + name, name);
      FlagWord out{*found, {}, {}};
      if (equals != std::string::npos) out.value = word.substr(equals + 1);
      return out;
    }
    const auto found = std::ranges::find(flags, word[1], &Flag::letter);
    if (found == flags.end()) return unknown(word.substr(0, 2), "");
    FlagWord out{*found, {}, {}};
    if (word.size() == 2) return out;
    if (found->value.empty()) {
      out.rest = "-" + word.substr(2);
    } else {
      out.value = word.substr(word[2] == '=' ? 3 : 2);
    }
    return out;
  }

  [[nodiscard]] tl::unexpected<Error> unknown(const std::string& shownAs,
                                              const std::string& name) const {
    std::vector<std::string> names;
    for (const Flag& flag : known()) names.push_back(shown(flag));
    const std::string of = line_.verb == nullptr ? "" : " of " + std::string(line_.verb->name);
    const std::string near = name.empty() ? "" : didYouMean("--" + name, names);
    return wrong("unknown flag " + shownAs + of +
                 (near.empty() ? "; kubectl multinet help " +
                                     std::string(line_.verb ? line_.verb->name : "") + " lists them"
                               : near));
  }

  Status takeFlag(const std::string& word) {
    MULTINET_TRY(FlagWord found, read(word));
    auto& values = line_.arguments.values[std::string(found.flag.name)];
    if (found.flag.value.empty()) {
      if (found.value && *found.value != "true" && *found.value != "false") {
        return wrong("flag " + shown(found.flag) + " is a switch and takes no value, not \"" +
                     *found.value + "\"");
      }
      if (found.value != "false") values.emplace_back("true");
      return found.rest.empty() ? Status{} : takeFlag(found.rest);
    }
    if (!found.value && at_ + 1 < words_.size()) found.value = words_[++at_];
    if (!found.value || found.value->empty()) {
      return wrong("flag " + shown(found.flag) + " needs a value: " + shown(found.flag) + "=" +
                   std::string(found.flag.value));
    }
    values.push_back(*found.value);
    return {};
  }

  Status countOperands() const {
    const Verb& verb = *line_.verb;
    const auto& operands = line_.arguments.operands;
    const std::string usage = "kubectl multinet " + std::string(verb.name) +
                              (verb.operands.empty() ? "" : " " + std::string(verb.operands));
    if (operands.size() < verb.least) return wrong("too few words; want: " + usage);
    if (operands.size() > verb.most) {
      return wrong("\"" + operands[verb.most] + "\" is one word too many; want: " + usage);
    }
    return {};
  }

  const std::vector<std::string>& words_;
  CommandLine line_;
  std::size_t at_ = 0;
  std::size_t verbAt_ = std::string::npos;
  bool ended_ = false;
};

}  // namespace

Result<CommandLine> parseCommandLine(const std::vector<std::string>& words) {
  return Parser(words).run();
}

std::vector<Flag> flagsOf(const Verb& verb) {
  std::vector<Flag> flags(verb.flags.begin(), verb.flags.end());
  flags.insert(flags.end(), commonFlags().begin(), commonFlags().end());
  return flags;
}

Result<Duration> parseTimeout(std::string_view text) {
  long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error == std::errc() && number > 0 && number < 1'000'000) {
    if (unit == "ms") return std::chrono::milliseconds(number);
    if (unit == "s" || unit.empty()) return std::chrono::seconds(number);
    if (unit == "m") return std::chrono::minutes(number);
    if (unit == "h") return std::chrono::hours(number);
  }
  return wrong("\"" + std::string(text) + "\" is no time; write one such as 10s, 500ms or 2m");
}

}  // namespace multinet::cli
