#include "cli/completion.h"

#include <algorithm>
#include <array>
#include <thread>

#include "cli/command_line.h"
#include "cli/nearest.h"
#include "cli/objects.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

// Asks the program itself, so that the scripts know no verb.
constexpr std::string_view kBash = R"(# kubectl multinet completion bash
_kubectl_multinet() {
  local out line
  COMPREPLY=()
  out=$(kubectl-multinet __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null)
  while IFS= read -r line; do
    [[ $line == :0 ]] && compopt -o default 2>/dev/null
    [[ $line == :* || -z $line ]] && continue
    COMPREPLY+=("${line%%$'\t'*}")
  done <<< "$out"
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _kubectl_multinet kubectl-multinet
)";
constexpr std::string_view kZsh = R"(#compdef kubectl-multinet
# kubectl multinet completion zsh
_kubectl_multinet() {
  local out line
  local -a found
  out=$(kubectl-multinet __complete "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null)
  while IFS= read -r line; do
    [[ $line == :0 ]] && _files
    [[ $line == :* || -z $line ]] && continue
    found+=("${${line%%$'\t'*}//:/\\:}${${line#*$'\t'}:+:${line#*$'\t'}}")
  done <<< "$out"
  _describe 'kubectl multinet' found
}
compdef _kubectl_multinet kubectl-multinet
)";
constexpr std::string_view kFish = R"(# kubectl multinet completion fish
function __kubectl_multinet
    set -l words (commandline -opc) (commandline -ct)
    kubectl-multinet __complete $words[2..-1] 2>/dev/null | string match -v -r '^:'
end
complete -c kubectl-multinet -f -a '(__kubectl_multinet)'
)";

std::vector<std::string> wordsOf(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    out.emplace_back(text.substr(0, blank));
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  }
  return out;
}

class Completer {
 public:
  Completer(const std::vector<std::string>& words, const NamesOf& namesOf)
      : words_(words), namesOf_(namesOf) {}

  std::vector<Candidate> run() {
    if (words_.empty()) return {};
    readBefore();
    const std::string& last = words_.back();
    const auto equals = last.find('=');
    if (last.starts_with("--") && equals != std::string::npos) {
      if (const Flag* flag = flagOf(last.substr(0, equals))) {
        offer(flag->names, flag->words, last.substr(0, equals + 1), last.substr(equals + 1));
      }
    } else if (expects_ != nullptr) {
      offer(expects_->names, expects_->words, "", last);
    } else if (last.starts_with('-')) {
      offerFlags(last);
    } else if (verb_ == nullptr) {
      for (const Verb& verb : verbs())
        take({std::string(verb.name), std::string(verb.summary)}, last);
    } else if (arguments_.operands.size() < verb_->most) {
      offer(verb_->names, verb_->words, "", last);
    }
    return std::move(out_);
  }

 private:
  /// The words before the last: which verb, which flags; whether a flag waits for its value.
  void readBefore() {
    for (std::size_t i = 0; i + 1 < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (expects_ != nullptr) {
        arguments_.values[std::string(expects_->name)].push_back(word);
        expects_ = nullptr;
      } else if (word.size() > 1 && word.front() == '-') {
        const auto equals = word.find('=');
        const Flag* flag = flagOf(word.substr(0, equals));
        if (flag == nullptr) continue;
        if (flag->value.empty()) {
          arguments_.values[std::string(flag->name)].emplace_back("true");
        } else if (equals == std::string::npos) {
          expects_ = flag;
        } else {
          arguments_.values[std::string(flag->name)].push_back(word.substr(equals + 1));
        }
      } else if (verb_ == nullptr) {
        verb_ = findVerb(word);
        if (verb_ != nullptr) flags_ = flagsOf(*verb_);
      } else {
        arguments_.operands.push_back(word);
      }
    }
  }

  const Flag* flagOf(const std::string& word) const {
    const auto found = std::ranges::find_if(flags_, [&](const Flag& flag) {
      const bool letter = word.size() == 2 && flag.letter != 0 && word[1] == flag.letter;
      return letter || word == "--" + std::string(flag.name);
    });
    return found == flags_.end() ? nullptr : &*found;
  }

  void offerFlags(const std::string& last) {
    for (const Flag& flag : flags_) {
      take({"--" + std::string(flag.name), std::string(flag.help)}, last);
    }
  }

  void offer(Names names, std::string_view words, const std::string& before,
             const std::string& last) {
    std::vector<std::string> found;
    if (names == Names::Words) {
      found = wordsOf(words);
    } else if (names == Names::Verbs) {
      for (const Verb& verb : verbs()) found.emplace_back(verb.name);
    } else if (names != Names::Nothing) {
      found = namesOf_(names, arguments_);
    }
    for (const std::string& word : found) {
      const auto& given = arguments_.operands;
      if (std::ranges::find(given, word) != given.end()) continue;
      if (word.starts_with(last)) out_.push_back({before + word, ""});
    }
  }

  void take(Candidate candidate, const std::string& last) {
    if (candidate.word.starts_with(last)) out_.push_back(std::move(candidate));
  }

  const std::vector<std::string>& words_;
  const NamesOf& namesOf_;
  const Verb* verb_ = nullptr;
  std::vector<Flag> flags_{commonFlags().begin(), commonFlags().end()};
  const Flag* expects_ = nullptr;
  Arguments arguments_;
  std::vector<Candidate> out_;
};

std::vector<std::string> withPrefix(const std::string& prefix, std::vector<std::string> names) {
  for (std::string& name : names) name.insert(0, prefix);
  return names;
}

// NOLINTNEXTLINE(misc-no-recursion): of two kinds of names at most
std::vector<std::string> namesInCluster(Call& call, Names names) {
  const auto collect = [](const Result<json>& items, const std::string& pointer) {
    std::vector<std::string> out;
    if (!items) return out;
    for (const json& item : *items) out.push_back(text(item, pointer));
    std::ranges::sort(out);
    return out;
  };
  switch (names) {
    case Names::Networks:
      return collect(call.list(kinds::kNetworks), "/metadata/name");
    case Names::Nodes:
      return collect(call.list(kinds::kNodeSets), "/metadata/name");
    case Names::Namespaces:
      return collect(call.list(kinds::kNamespaces), "/metadata/name");
    case Names::Services: {
      const auto nameSpace = call.nameSpace();
      if (!nameSpace) return {};
      return collect(call.list(kinds::kServices, {*nameSpace, "", ""}), "/metadata/name");
    }
    case Names::Pods: {
      const auto nameSpace = call.nameSpace();
      if (!nameSpace) return {};
      return collect(call.list(kinds::kSets, {*nameSpace, "", ""}), "/pod/name");
    }
    case Names::Connecting:
      return withPrefix("pod/", namesInCluster(call, Names::Pods));
    case Names::Traced: {
      auto traced = namesInCluster(call, Names::Pods);
      const auto services = withPrefix("service/", namesInCluster(call, Names::Services));
      traced.insert(traced.end(), services.begin(), services.end());
      return traced;
    }
    default:
      return {};
  }
}

constexpr std::array kExamples = {
    Example{"source <(kubectl multinet completion bash)", "in ~/.bashrc"},
    Example{"kubectl multinet completion kubectl > /usr/local/bin/kubectl_complete-multinet && "
            "chmod +x /usr/local/bin/kubectl_complete-multinet",
            "for kubectl's own completion"}};
constexpr std::string_view kShells = "bash zsh fish kubectl";

Result<int> run(Call& call) {
  const std::string& shell = call.arguments().operands.front();
  const auto script = completionScript(shell);
  if (script.empty()) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "no completion for \"" + shell +
                    "\"; there is one for bash, zsh, fish and kubectl" +
                    didYouMean(shell, wordsOf(kShells)));
  }
  call.out() << script;
  return kDone;
}

}  // namespace

std::vector<Candidate> complete(const std::vector<std::string>& words, const NamesOf& namesOf) {
  return Completer(words, namesOf).run();
}

int runCompletion(const std::vector<std::string>& words, Streams streams, const Clock& clock) {
  bool files = false;
  const auto candidates = complete(words, [&](Names names, const Arguments& soFar) {
    if (names == Names::Files) {
      files = true;
      return std::vector<std::string>{};
    }
    // Somebody waits at the keyboard.
    Arguments quick = soFar;
    quick.values["request-timeout"] = {"2s"};
    quick.operands.clear();
    Call call(std::move(quick), streams, clock, [](Duration) {});
    return namesInCluster(call, names);
  });
  for (const Candidate& one : candidates) {
    streams.out << one.word << (one.says.empty() ? "" : "\t" + one.says) << "\n";
  }
  streams.out << (files ? ":0\n" : ":4\n");
  return kDone;
}

std::string completionScript(std::string_view shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  if (shell == "kubectl") return "#!/bin/sh\nexec kubectl-multinet __complete \"$@\"\n";
  return {};
}

Verb completionVerb() {
  return {.name = "completion",
          .operands = "bash|zsh|fish|kubectl",
          .least = 1,
          .most = 1,
          .names = Names::Words,
          .words = kShells,
          .summary = "The shell's completion of words, as a script",
          .text =
              "Verbs, flags and the names of networks, pods, services, nodes and namespaces. For "
              "`kubectl multinet` with a blank, kubectl asks a program kubectl_complete-multinet "
              "on the PATH: it is what `completion kubectl` prints.",
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
