#include "lib/kube/store.h"

#include <rapidcheck.h>

#include "lib/kube/fake_kind.h"

namespace multinet::kube {
namespace {

Json noteJson(const std::string& name, const std::string& uid, std::uint64_t revision,
              const std::string& text) {
  return {{"metadata",
           {{"namespace", "default"},
            {"name", name},
            {"uid", uid},
            {"resourceVersion", std::to_string(revision)}}},
          {"spec", {{"text", text}}}};
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    store_.addIndex("text", [](const FakeNote& note) { return std::vector{note.text}; });
    store_.addHandler({[this](const FakeNote& note) { told_.push_back("+" + note.text); },
                       [this](const FakeNote& old, const FakeNote& now) {
                         told_.push_back(old.text + ">" + now.text);
                       },
                       [this](const FakeNote& note) { told_.push_back("-" + note.text); }});
  }
  void event(EventType type, const Json& object) {
    ASSERT_TRUE(withJson(object.dump(), [&](const simdjson::dom::element& root) -> Status {
      store_.event(type, root);
      return {};
    }));
  }
  void list(const std::vector<Json>& objects) {
    store_.listBegin();
    for (const auto& object : objects) {
      ASSERT_TRUE(withJson(object.dump(), [&](const simdjson::dom::element& root) -> Status {
        store_.listItem(root);
        return {};
      }));
    }
    store_.listEnd();
  }
  std::vector<std::string> told() { return std::exchange(told_, {}); }

  Store<FakeNote> store_;
  std::vector<std::string> told_;
};

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(StoreTest, TellsWhatAListChanged) {
  list({noteJson("a", "u1", 1, "a1"), noteJson("b", "u2", 2, "b1")});
  EXPECT_THAT(told(), UnorderedElementsAre("+a1", "+b1"));
  list({noteJson("a", "u1", 5, "a2"), noteJson("c", "u3", 6, "c1")});
  EXPECT_THAT(told(), UnorderedElementsAre("-b1", "a1>a2", "+c1"));
  list({noteJson("a", "u1", 5, "a2"), noteJson("c", "u3", 6, "c1")});
  EXPECT_THAT(told(), IsEmpty());
}

/// While a list comes there would be two of each.
TEST_F(StoreTest, WhatDidNotChangeIsNotReadAgain) {
  list({noteJson("a", "u1", 1, "a1")});
  const auto before = store_.get({"default", "a"});
  list({noteJson("a", "u1", 1, "undecodable")});
  EXPECT_EQ(store_.undecodable(), 0U);
  EXPECT_EQ(store_.get({"default", "a"}), before);
  list({noteJson("a", "u2", 1, "of another object")});
  EXPECT_EQ(store_.get({"default", "a"})->text, "of another object");
}

TEST_F(StoreTest, IsSyncedOnlyAfterAWholeList) {
  store_.listBegin();
  EXPECT_FALSE(store_.synced());
  store_.listAborted();
  EXPECT_FALSE(store_.synced());
  EXPECT_FALSE(store_.waitSynced(std::chrono::milliseconds(1)));
  list({});
  EXPECT_TRUE(store_.synced());
}

TEST_F(StoreTest, TellsOnceThatItIsSyncedAlsoWithoutAnyObject) {
  int synced = 0;
  store_.addHandler({.synced = [&] {
    EXPECT_TRUE(store_.synced());
    ++synced;
  }});
  list({});
  EXPECT_EQ(synced, 1);
  list({});
  EXPECT_EQ(synced, 1);
}

TEST_F(StoreTest, DropsDoubledAndLateEvents) {
  event(EventType::Added, noteJson("a", "u1", 1, "a1"));
  event(EventType::Added, noteJson("a", "u1", 1, "a1"));
  event(EventType::Modified, noteJson("a", "u1", 4, "a4"));
  event(EventType::Modified, noteJson("a", "u1", 3, "a3"));
  EXPECT_THAT(told(), ElementsAre("+a1", "a1>a4"));
  event(EventType::Deleted, noteJson("a", "u1", 6, "a5"));
  event(EventType::Modified, noteJson("a", "u1", 5, "a5"));
  EXPECT_THAT(told(), ElementsAre("-a5"));
  EXPECT_EQ(store_.size(), 0U) << "a late event raised a ghost";
}

TEST_F(StoreTest, SeesADeletionThatAWatchLostWhenTheNameComesBack) {
  event(EventType::Added, noteJson("a", "u1", 1, "old"));
  event(EventType::Added, noteJson("a", "u2", 9, "new"));
  EXPECT_THAT(told(), ElementsAre("+old", "-old", "+new"));
}

TEST_F(StoreTest, KeepsANewNamesakeFromALateDeletion) {
  event(EventType::Added, noteJson("a", "u2", 9, "new"));
  event(EventType::Deleted, noteJson("a", "u1", 8, "old"));
  EXPECT_THAT(told(), ElementsAre("+new"));
}

TEST_F(StoreTest, FollowsItsIndexes) {
  event(EventType::Added, noteJson("a", "u1", 1, "x"));
  event(EventType::Added, noteJson("b", "u2", 2, "x"));
  EXPECT_EQ(store_.byIndex("text", "x").size(), 2U);
  event(EventType::Modified, noteJson("a", "u1", 3, "y"));
  event(EventType::Deleted, noteJson("b", "u2", 4, "x"));
  EXPECT_THAT(store_.byIndex("text", "x"), IsEmpty());
  ASSERT_EQ(store_.byIndex("text", "y").size(), 1U);
  EXPECT_EQ(store_.byIndex("text", "y").front()->name, "a");
  EXPECT_THAT(store_.byIndex("unknown", "y"), IsEmpty());
}

TEST_F(StoreTest, TreatsWhatIsFilteredOutAsGone) {
  store_.setFilter([](const FakeNote& note) { return note.text != "hidden"; });
  event(EventType::Added, noteJson("a", "u1", 1, "seen"));
  event(EventType::Modified, noteJson("a", "u1", 2, "hidden"));
  EXPECT_EQ(store_.size(), 0U);
  list({noteJson("a", "u1", 2, "hidden"), noteJson("b", "u2", 3, "seen")});
  EXPECT_EQ(store_.size(), 1U);
}

TEST_F(StoreTest, TakesTheNewestThatAListRepeatsAlsoWhereThatIsLeftOut) {
  store_.setFilter([](const FakeNote& note) { return note.text != "hidden"; });
  list({noteJson("a", "u1", 2, "hidden"), noteJson("a", "u1", 1, "a1"),
        noteJson("b", "u2", 1, "b1"), noteJson("b", "u2", 2, "hidden"),
        noteJson("c", "u3", 1, "hidden"), noteJson("c", "u3", 2, "c2"),
        noteJson("d", "u4", 2, "d2"), noteJson("d", "u4", 1, "d1")});
  EXPECT_THAT(told(), UnorderedElementsAre("+c2", "+d2"));
  list({noteJson("a", "u1", 1, "a1")});
  EXPECT_THAT(told(), UnorderedElementsAre("+a1", "-c2", "-d2")) << "each list is one of its own";
}

/// It would never be found again.
TEST_F(StoreTest, LeavesOutWhatIsReadAsAnotherObject) {
  auto object = noteJson("a", "u1", 1, "a1");
  object["spec"]["name"] = "b";
  list({object});
  EXPECT_EQ(store_.size(), 0U);
  EXPECT_EQ(store_.undecodable(), 1U);
}

TEST_F(StoreTest, LeavesOutAndCountsWhatItCantRead) {
  event(EventType::Added, noteJson("a", "u1", 1, "undecodable"));
  event(EventType::Added, {{"metadata", {{"name", "x"}}}});
  event(EventType::Added, noteJson("b", "u2", 2, "fine"));
  EXPECT_EQ(store_.undecodable(), 1U);
  EXPECT_EQ(store_.size(), 1U);
}

TEST_F(StoreTest, GivesSnapshotsThatOutliveTheirObject) {
  event(EventType::Added, noteJson("a", "u1", 1, "one"));
  const auto snapshot = store_.get({"default", "a"});
  event(EventType::Deleted, noteJson("a", "u1", 2, "one"));
  EXPECT_EQ(store_.get({"default", "a"}), nullptr);
  EXPECT_EQ(snapshot->text, "one");
}

// Any history, told with losses, doubles and swaps, then one list: cache, index and what handlers
// were told agree with the server.
TEST(Store, EqualsTheServerAfterAnyEventsAndAList) {
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<unsigned, unsigned>>& steps) {
    Store<FakeNote> store;
    std::map<std::string, std::string> told;
    store.addIndex("text", [](const FakeNote& note) { return std::vector{note.text}; });
    store.addHandler({[&](const FakeNote& note) {
                        RC_ASSERT(!told.contains(note.name));
                        told[note.name] = note.text;
                      },
                      [&](const FakeNote& old, const FakeNote& now) {
                        RC_ASSERT(told.at(old.name) == old.text);
                        told[now.name] = now.text;
                      },
                      [&](const FakeNote& note) { RC_ASSERT(told.erase(note.name) == 1U); }});
    const auto feed = [&](EventType type, const Json& object) {
      RC_ASSERT(withJson(object.dump(), [&](const simdjson::dom::element& root) -> Status {
                  store.event(type, root);
                  return {};
                }).has_value());
    };
    std::map<std::string, Json> server;
    std::optional<std::pair<EventType, Json>> held;
    std::uint64_t revision = 1;
    for (const auto& [action, mishap] : steps) {
      const std::string name(1, static_cast<char>('a' + action % 3));
      ++revision;
      EventType type = EventType::Modified;
      Json object;
      if (server.contains(name) && action % 5 == 0) {
        type = EventType::Deleted;
        object = server.at(name);
        object["metadata"]["resourceVersion"] = std::to_string(revision);
        server.erase(name);
      } else {
        type = server.contains(name) ? EventType::Modified : EventType::Added;
        const auto uid = server.contains(name)
                             ? server.at(name)["metadata"]["uid"].get<std::string>()
                             : "u" + std::to_string(revision);
        object = noteJson(name, uid, revision, "t" + std::to_string(revision));
        server[name] = object;
      }
      switch (mishap % 6) {
        case 0:
          break;  // lost
        case 1:
          held = {type, object};
          break;
        case 2:
          feed(type, object);
          feed(type, object);
          break;
        default:
          feed(type, object);
      }
      if (mishap % 6 != 1 && held && mishap % 2 == 0) {
        feed(held->first, held->second);
        held.reset();
      }
    }
    store.listBegin();
    for (const auto& [name, object] : server) {
      RC_ASSERT(withJson(object.dump(), [&](const simdjson::dom::element& root) -> Status {
                  store.listItem(root);
                  return {};
                }).has_value());
    }
    store.listEnd();
    RC_ASSERT(store.size() == server.size());
    RC_ASSERT(told.size() == server.size());
    for (const auto& [name, object] : server) {
      const auto text = object["spec"]["text"].get<std::string>();
      const auto cached = store.get({"default", name});
      RC_ASSERT(cached != nullptr);
      RC_ASSERT(cached->text == text);
      RC_ASSERT(told.at(name) == text);
      RC_ASSERT(store.byIndex("text", text).size() == 1U);
    }
  }));
}

}  // namespace
}  // namespace multinet::kube
