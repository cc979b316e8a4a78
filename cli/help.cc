#include "cli/help.h"

#include <algorithm>
#include <array>

#include "cli/nearest.h"

namespace multinet::cli {
namespace {

constexpr std::size_t kWidth = 80;

/// Lines of at most kWidth characters, each after `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t firstAt) {
  std::string out;
  std::size_t at = firstAt;
  bool first = true;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    const auto word = text.substr(0, blank);
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
    if (!first && at + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (!first) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
    first = false;
  }
  return out;
}

std::string flagWords(const Flag& flag) {
  std::string out = flag.letter == 0 ? "    " : std::string("-") + flag.letter + ", ";
  out += "--" + std::string(flag.name);
  if (!flag.value.empty()) out += " " + std::string(flag.value);
  return out;
}

std::string flagLines(std::span<const Flag> flags) {
  std::size_t longest = 0;
  for (const Flag& flag : flags) longest = std::max(longest, flagWords(flag).size());
  std::string out;
  for (const Flag& flag : flags) {
    const auto words = flagWords(flag);
    const std::size_t indent = longest + 5;
    out += "  " + words + std::string(indent - 2 - words.size(), ' ') +
           wrapped(flag.help, indent, indent) + "\n";
  }
  return out;
}

std::string usage(const Verb& verb) {
  std::string out = "kubectl multinet " + std::string(verb.name);
  if (!verb.operands.empty()) out += " " + std::string(verb.operands);
  return out + " [flags]";
}

/// A dash and a dot in front would be man's own words.
std::string forMan(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '-' || letter == '\\') out += '\\';
    out += letter;
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

std::string manFlags(std::span<const Flag> flags) {
  std::string out;
  for (const Flag& flag : flags) {
    out += ".TP\n.B ";
    if (flag.letter != 0) out += forMan(std::string("-") + flag.letter) + ", ";
    out += forMan("--" + std::string(flag.name));
    if (!flag.value.empty()) out += " \\fI" + forMan(flag.value) + "\\fR";
    out += "\n" + forMan(flag.help) + ".\n";
  }
  return out;
}

constexpr std::string_view kWhat =
    "Networks of pods, as Multinet knows them: what there is, why something isn't ready, what a "
    "pod would get.";

Result<int> runHelp(Call& call) {
  if (call.arguments().operands.empty()) {
    call.out() << helpOfAll();
    return kDone;
  }
  const std::string& name = call.arguments().operands.front();
  if (const Verb* verb = findVerb(name)) {
    call.out() << helpOf(*verb);
    return kDone;
  }
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.emplace_back(verb.name);
  return fail(Code::InvalidArgument, "InvalidCommandLine",
              "unknown verb \"" + name + "\"" + didYouMean(name, names));
}

Result<int> runMan(Call& call) {
  call.out() << manualPage();
  return kDone;
}

}  // namespace

std::string helpOfAll() {
  std::string out = wrapped(kWhat, 0, 0) + "\n\nUsage: kubectl multinet VERB [flags]\n\nVerbs:\n";
  std::size_t longest = 0;
  for (const Verb& verb : verbs()) longest = std::max(longest, verb.name.size());
  for (const Verb& verb : verbs()) {
    const std::size_t indent = longest + 5;
    out += "  " + std::string(verb.name) + std::string(longest + 3 - verb.name.size(), ' ') +
           wrapped(verb.summary, indent, indent) + "\n";
  }
  out += "\nFlags of every verb:\n" + flagLines(commonFlags());
  return out + "\nkubectl multinet help VERB tells more.\n";
}

std::string helpOf(const Verb& verb) {
  std::string out = std::string(verb.summary) + ".\n";
  if (!verb.text.empty()) out += "\n" + wrapped(verb.text, 0, 0) + "\n";
  out += "\nUsage: " + usage(verb) + "\n";
  if (!verb.flags.empty()) out += "\nFlags:\n" + flagLines(verb.flags);
  out += "\nFlags of every verb:\n" + flagLines(commonFlags());
  if (!verb.examples.empty()) out += "\nExamples:\n";
  for (const Example& example : verb.examples) {
    out += "  # " + std::string(example.says) + "\n  " + std::string(example.command) + "\n";
  }
  return out;
}

std::string manualPage() {
  std::string out =
      ".TH KUBECTL\\-MULTINET 1 \"\" Multinet\n.SH NAME\nkubectl\\-multinet \\- networks of "
      "pods\n.SH SYNOPSIS\n.B kubectl multinet\n\\fIVERB\\fR [\\fIflags\\fR]\n"
      ".SH DESCRIPTION\n" +
      forMan(kWhat) + "\n.SH VERBS\n";
  for (const Verb& verb : verbs()) {
    out += ".SS " + forMan(usage(verb)) + "\n" + forMan(verb.summary) + ".\n";
    if (!verb.text.empty()) out += ".PP\n" + forMan(verb.text) + "\n";
    out += manFlags(verb.flags);
    for (const Example& example : verb.examples) {
      out += ".PP\n" + forMan(example.says) + ":\n.PP\n.EX\n" + forMan(example.command) + "\n.EE\n";
    }
  }
  out += ".SH FLAGS OF EVERY VERB\n" + manFlags(commonFlags());
  return out +
         ".SH EXIT STATUS\n.TP\n.B 0\nDone; also where nothing was found.\n.TP\n.B 1\n"
         "\\fIexplain\\fR found a pod that would be refused, \\fItrace\\fR a connection; pods hold "
         "what \\fIuninstall\\fR or "
         "\\fIdrain\\fR would end.\n.TP\n.B 2\nIt couldn't be done: one sentence on standard "
         "error says why.\n.SH SEE ALSO\n.BR kubectl (1)\n";
}

Verb helpVerb() {
  return {.name = "help",
          .operands = "[VERB]",
          .most = 1,
          .names = Names::Verbs,
          .summary = "Help, on one verb too",
          .run = runHelp};
}

Verb manVerb() {
  static constexpr std::array kExamples = {
      Example{"kubectl multinet man | man -l -", "read it at once"}};
  return {.name = "man",
          .summary = "The manual page, as man reads it",
          .examples = kExamples,
          .run = runMan};
}

}  // namespace multinet::cli
