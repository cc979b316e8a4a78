// What can be asked for. One table, from which the parser, help, completion and the manual page are
// made: nothing of it stands anywhere else.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cli/call.h"

namespace multinet::cli {

/// Exit codes, for scripts.
inline constexpr int kDone = 0;
inline constexpr int kRefused =
    1;  ///< `explain`, `policy explain`, `trace`: refused; `uninstall`, `drain`: somebody holds on
inline constexpr int kFailed = 2;

/// What a word names, for completion.
enum class Names : std::uint8_t {
  Nothing,
  Networks,
  Pods,
  Services,
  Traced,      // pods, and services as `service/NAME`
  Connecting,  // pods as `pod/NAME`
  Nodes,
  Namespaces,
  Files,
  Verbs,
  Words
};

struct Flag {
  std::string_view name;        // without dashes
  char letter = 0;              // 0: none
  std::string_view value = {};  // how help calls the value; empty: a switch
  std::string_view help = {};
  Names names = Names::Nothing;
  std::string_view words = {};  // of Names::Words, by spaces
};

struct Example {
  std::string_view command;
  std::string_view says;
};

struct Verb {
  std::string_view name;
  std::string_view operands = {};  // as usage has it: `[NETWORK...]`; empty: none
  std::size_t least = 0;           // operands
  std::size_t most = 0;
  Names names = Names::Nothing;
  std::string_view words = {};  // of Names::Words
  std::string_view summary;     // what it says or does; no full stop
  std::string_view text = {};   // more, in sentences
  std::span<const Flag> flags = {};
  std::span<const Example> examples = {};
  Result<int> (*run)(Call& call) = nullptr;
};

inline constexpr std::size_t kAny = 1000;

/// In the order in which help shows them.
[[nodiscard]] const std::vector<Verb>& verbs();
/// nullptr: there is none of that name.
[[nodiscard]] const Verb* findVerb(std::string_view name);
/// Taken by every verb.
[[nodiscard]] std::span<const Flag> commonFlags();

// Flags that several verbs share.
inline constexpr Flag kOutput{"output",     'o',
                              "FORMAT",     "table, wide, name, json, yaml or jsonpath=TEMPLATE",
                              Names::Words, "table wide name json yaml jsonpath="};
inline constexpr Flag kNamespace{"namespace", 'n', "NAMESPACE",
                                 "Namespace; without it the context's", Names::Namespaces};
inline constexpr Flag kAllNamespaces{"all-namespaces", 'A', "", "All namespaces"};
inline constexpr Flag kSelector{"selector", 'l', "LABELS",
                                "Only what has these labels: app=web,tier!=db"};
inline constexpr Flag kWatch{"watch", 'w', "", "Go on with what changes, until Ctrl-C"};

// One a file.
[[nodiscard]] Verb networksVerb();
[[nodiscard]] Verb podsVerb();
[[nodiscard]] Verb servicesVerb();
[[nodiscard]] Verb nodesVerb();
[[nodiscard]] Verb ipamVerb();
[[nodiscard]] Verb explainVerb();
[[nodiscard]] Verb policyVerb();
[[nodiscard]] Verb traceVerb();
[[nodiscard]] Verb topologyVerb();
[[nodiscard]] Verb drainVerb();
[[nodiscard]] Verb uninstallVerb();
[[nodiscard]] Verb completionVerb();
[[nodiscard]] Verb manVerb();
[[nodiscard]] Verb helpVerb();
[[nodiscard]] Verb versionVerb();

}  // namespace multinet::cli
