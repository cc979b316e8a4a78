#include <atomic>
#include <thread>

#include "cli/program_fixture.h"

#include "cli/completion.h"
#include "cli/help.h"
#include "cli/verb.h"

namespace multinet::cli {
namespace {

const std::string kNetworks = "/apis/multinet.dev/v1alpha1/podnetworks";

class WordsTest : public ProgramTest {
 protected:
  std::string error(const std::vector<std::string>& words) {
    EXPECT_EQ(run(words), 2) << out();
    return err();
  }
};

TEST_F(WordsTest, ABareCallIsHelp) {
  EXPECT_EQ(run({}), 0);
  EXPECT_EQ(out(), helpOfAll());
  EXPECT_EQ(run({"pods", "--help"}), 0);
  EXPECT_EQ(out(), helpOf(*findVerb("pods")));
}

TEST_F(WordsTest, AWrongWordGetsOneSentenceWithTheNearestRightOne) {
  EXPECT_EQ(error({"netwroks"}), "error: unknown verb \"netwroks\"; did you mean \"networks\"?\n");
  EXPECT_EQ(error({"qqqqqqq"}),
            "error: unknown verb \"qqqqqqq\"; kubectl multinet help lists them\n");
  EXPECT_EQ(error({"pods", "--namspace", "x"}),
            "error: unknown flag --namspace of pods; did you mean \"--namespace\"?\n");
  EXPECT_EQ(error({"pods", "-x"}),
            "error: unknown flag -x of pods; kubectl multinet help pods lists them\n");
  EXPECT_EQ(error({"trace"}),
            "error: too few words; want: kubectl multinet trace POD|service/NAME\n");
  EXPECT_EQ(error({"trace", "a", "b"}),
            "error: \"b\" is one word too many; want: kubectl multinet trace POD|service/NAME\n");
  EXPECT_EQ(error({"pods", "-A=maybe"}).find("error:"), 0U);
  EXPECT_EQ(error({"networks", "-o", "yml"}),
            "error: flag --output \"yml\": must be table, wide, name, json, yaml or "
            "jsonpath=TEMPLATE; did you mean \"yaml\"?\n");
  EXPECT_EQ(error({"networks", "--request-timeout=soon"}),
            "error: \"soon\" is no time; write one such as 10s, 500ms or 2m\n");
}

TEST_F(WordsTest, NamesAreTakenAndAWrongOneSaysTheNearest) {
  put(kNetworks, "blue", {{"spec", {{"type", "VXLAN"}}}});
  put(kNetworks, "storage", {{"spec", {{"type", "Bridge"}}}});
  EXPECT_EQ(run({"networks", "storage", "-o", "name"}), 0);
  EXPECT_EQ(out(), "podnetwork.multinet.dev/storage\n");
  EXPECT_EQ(run({"-o=name", "networks"}), 0) << "flags may come first";
  EXPECT_EQ(out(), "podnetwork.multinet.dev/blue\npodnetwork.multinet.dev/storage\n");
  EXPECT_EQ(run({"networks", "blue", "-ojsonpath={.spec.type}"}), 0) << err();
  EXPECT_EQ(out(), "VXLAN\n");
  EXPECT_EQ(run({"networks", "-o",
                 R"(jsonpath={range .items[*]}{.metadata.name}={.spec.type}{"\n"}{end})"}),
            0)
      << err();
  EXPECT_EQ(out(), "blue=VXLAN\nstorage=Bridge\n\n");
  EXPECT_EQ(error({"networks", "blu"}),
            "error: podnetwork \"blu\" not found; did you mean \"blue\"?\n");
}

TEST_F(WordsTest, SelectorsAndImpersonationReachTheServer) {
  EXPECT_EQ(run({"networks", "-l", "team=a", "--as", "jane"}), 0) << err();
  EXPECT_NE(server_.requests().back().find("labelSelector=team%3Da"), std::string::npos)
      << server_.requests().back();
  EXPECT_EQ(error({"networks", "--as-group", "g"}).find("error: flag --as-group needs --as"), 0U);
}

TEST_F(WordsTest, PodsAreOfTheContextsNamespaceOfOneOrOfAll) {
  for (const char* where : {"shop", "lab"}) {
    put("/apis/multinet.dev/v1alpha1/namespaces/" + std::string(where) + "/podinterfacesets", "w",
        {{"metadata", {{"namespace", where}}},
         {"pod", {{"name", "web-0"}, {"uid", "u"}}},
         {"interfaces", {{{"name", "net1"}, {"podNetworkName", "blue"}}}}});
  }
  EXPECT_EQ(run({"pods", "-o", "jsonpath={.items[*].metadata.namespace}"}), 0);
  EXPECT_EQ(out(), "shop\n");
  EXPECT_EQ(run({"-n", "lab", "pods", "-o", "jsonpath={.items[*].metadata.namespace}"}), 0);
  EXPECT_EQ(out(), "lab\n");
  EXPECT_EQ(run({"pods", "-Ao", "name"}), 0) << err();
  EXPECT_EQ(out(), "podinterfaceset.multinet.dev/w\npodinterfaceset.multinet.dev/w\n");
}

/// Counts how often it was flushed.
class Flushed final : public std::stringbuf {
 public:
  void await(int count) const {
    while (count_ < count) std::this_thread::yield();
  }

 private:
  int sync() override {
    ++count_;
    return 0;
  }
  std::atomic<int> count_ = 0;
};

TEST_F(WordsTest, WatchingGoesOnWithWhatChanges) {
  put(kNetworks, "blue", {{"spec", {{"type", "VXLAN"}}}});
  Flushed seen;
  std::ostream out(&seen);
  std::thread other([&] {
    seen.await(1);
    put(kNetworks, "a-longer-name", {{"spec", {{"type", "Bridge"}}}});
    seen.await(2);
    server_.set(testing::ApiServer::Presence::Away);
  });
  std::ostringstream said;
  EXPECT_EQ(cli::run({"networks", "-w", "--kubeconfig=" + kubeconfig()}, {out, said, Colour::Never},
                     clock_, [](Duration) {}),
            2);
  other.join();
  EXPECT_EQ(seen.str(),
            "NAME   TYPE    READY     REASON   VNI   NODES   PODS   SUBNETS   AGE\n"
            "blue   VXLAN   Unknown   -        -     -       -      -         1s\n"
            "a-longer-name   Bridge   Unknown   -        -     -       -      -         1s\n");
  EXPECT_EQ(said.str().find("error: "), 0U) << said.str();
}

TEST(Table, HasNoTwoMeaningsOfOneFlag) {
  std::map<std::string, bool> takesValue;
  for (const Verb& verb : verbs()) {
    EXPECT_NE(verb.run, nullptr) << verb.name;
    EXPECT_FALSE(verb.summary.empty()) << verb.name;
    EXPECT_FALSE(verb.summary.ends_with('.')) << verb.name;
    std::set<std::string> names;
    std::set<char> letters;
    for (const Flag& flag : verb.flags) {
      EXPECT_TRUE(names.insert(std::string(flag.name)).second) << flag.name;
      EXPECT_TRUE(flag.letter == 0 || letters.insert(flag.letter).second) << flag.letter;
      const auto [known, isNew] = takesValue.emplace(std::string(flag.name), !flag.value.empty());
      EXPECT_EQ(known->second, !flag.value.empty()) << flag.name << " before the verb is unclear";
    }
  }
}

TEST(Help, NamesEveryVerbAndFlagAndKeepsItsWidth) {
  const auto all = helpOfAll();
  const auto manual = manualPage();
  for (const Verb& verb : verbs()) {
    EXPECT_NE(all.find("  " + std::string(verb.name) + " "), std::string::npos) << verb.name;
    EXPECT_NE(manual.find(".SS kubectl multinet " + std::string(verb.name)), std::string::npos);
    const auto help = helpOf(verb);
    for (const Flag& flag : verb.flags) {
      EXPECT_NE(help.find("--" + std::string(flag.name)), std::string::npos) << flag.name;
    }
    std::istringstream lines(help.substr(0, help.find("\nExamples:")));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

std::vector<std::string> offered(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const auto& one : complete(words, [](Names names, const Arguments&) {
         return names == Names::Networks ? std::vector<std::string>{"blue", "storage"}
                                         : std::vector<std::string>{"web-0"};
       })) {
    out.push_back(one.word);
  }
  return out;
}

TEST(Complete, OffersWhatFitsTheLastWord) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(offered({"ne"}), Words{"networks"});
  EXPECT_EQ(offered({"networks", ""}), (Words{"blue", "storage"}));
  EXPECT_EQ(offered({"networks", "blue", ""}), Words{"storage"}) << "once is enough";
  EXPECT_EQ(offered({"networks", "-o", "j"}), (Words{"json", "jsonpath="}));
  EXPECT_EQ(offered({"networks", "--output=y"}), Words{"--output=yaml"});
  EXPECT_EQ(offered({"pods", "--all"}), Words{"--all-namespaces"});
  EXPECT_EQ(offered({"trace", "w"}), Words{"web-0"});
  EXPECT_EQ(offered({"trace", "web-0", ""}), Words{}) << "no more words";
  EXPECT_EQ(offered({"trace", "service/web", "--from", "w"}), Words{"web-0"});
  EXPECT_EQ(offered({"completion", "f"}), Words{"fish"});
  EXPECT_EQ(offered({"--context", "x", "to"}), Words{"topology"});
}

TEST_F(WordsTest, CompletionAsksTheClusterAndEndsWithADirective) {
  put(kNetworks, "blue", {{"spec", {{"type", "VXLAN"}}}});
  const std::string shop = "/apis/multinet.dev/v1alpha1/namespaces/shop";
  put(shop + "/podnetworkservices", "web", json::object());
  put(shop + "/podinterfacesets", "c", {{"pod", {{"name", "client"}}}});
  const auto complete = [&](std::vector<std::string> words) {
    std::ostringstream told;
    words.insert(words.begin(), {"--kubeconfig", kubeconfig()});
    EXPECT_EQ(runCompletion(words, {told, std::cerr, Colour::Never}, clock_), 0);
    return told.str();
  };
  EXPECT_EQ(complete({"trace", ""}), "client\nservice/web\n:4\n");
  EXPECT_EQ(complete({"trace", "service/web", "--from", "pod/"}), "pod/client\n:4\n");
  EXPECT_EQ(cli::run({"__complete", "nodes", "-l", ""}, {std::cout, std::cerr, Colour::Never},
                     clock_, [](Duration) {}),
            0);
  EXPECT_EQ(run({"completion", "bash"}), 0);
  EXPECT_NE(out().find("complete -F _kubectl_multinet"), std::string::npos);
  EXPECT_EQ(error({"completion", "bsh"}),
            "error: no completion for \"bsh\"; there is one for bash, zsh, fish and kubectl; did "
            "you mean \"bash\"?\n");
}

}  // namespace
}  // namespace multinet::cli
