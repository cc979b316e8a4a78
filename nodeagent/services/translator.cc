#include "nodeagent/services/translator.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/endpoints/frontends.h"

namespace multinet::agent::services {
namespace {

bool isFull(const Status& status) {
  return !status && status.error().reason == "MapFull";
}

}  // namespace

Translator::Translator(const watch::Caches& caches, Plane& plane, Members& members, Report report,
                       const Clock& clock, TranslatorOptions options)
    : caches_(caches),
      plane_(plane),
      members_(members),
      report_(std::move(report)),
      options_(std::move(options)),
      gather_(lane_, options_.gather, [this] { work(); }),
      lane_("services", clock) {}

void Translator::changed(const std::string& network, const std::string& namespaceName,
                         const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (name.empty()) {
      allChanged_ = true;
    } else {
      changed_.insert({network, namespaceName, name});
    }
  }
  gather_.ask();
}

std::set<Translator::Name> Translator::take(bool& all) {
  const std::lock_guard lock(mutex_);
  all = std::exchange(allChanged_, false);
  return std::exchange(changed_, {});
}

void Translator::lookAgain(Duration after) {
  if (std::exchange(looksAgain_, true)) return;
  lane_.postAfter(after, [this] {
    looksAgain_ = false;
    if (failed_) return changed("", "", "");
    tell(plane_.ensure());
  });
}

void Translator::work() {
  // Until it is known whose services are wanted, and where, what an earlier agent left stays.
  if (!caches_.servicesFollowed() || !caches_.zone()) return;
  bool all = false;
  const std::set<Name> names = take(all);
  if (!table_ && !plane_.isThere() && !anyWanted()) return;
  if (!table_ || failed_) {
    all = true;
    if (const Status opened = open(); !opened) return tell(opened);
  }
  Status done;
  if (all) {
    done = followAll();
  } else {
    for (const Name& name : names) {
      if (const Status one = followOne(name); !one) done = one;
    }
  }
  count(0);
  endSockets();
  if (const auto problem = members_.problem(); done && problem) done = fail(*problem);
  tell(done);
}

// What failed is looked at whole the next time.
void Translator::tell(const Status& done) {
  failed_ = !done;
  report_(done);
  const bool soon = !done && done.error().reason == "NoPodsCgroup";
  lookAgain(soon ? options_.soon : options_.again);
}

// Programs and links are looked after each time, maps are read once.
Status Translator::open() {
  MULTINET_CHECK(plane_.ensure());
  if (table_) return {};
  ServiceTable table(plane_.maps());
  MULTINET_CHECK(table.adopt());
  MULTINET_CHECK(members_.open(plane_.members()));
  table_.emplace(std::move(table));
  log::info("translating services on networks", {{"frontends", table_->frontends().size()},
                                                 {"endpoints", table_->endpoints()},
                                                 {"writes", table_->writes()}});
  const auto alive = plane_.namespaces();
  const Status kept = alive ? members_.keep(*alive) : fail(alive.error());
  // Numbers of namespaces that are gone are room in a map, and nothing else.
  if (!kept) log::warn("can't tell which pods ended unseen", {{"error", kept.error()}});
  return {};
}

std::optional<NetworkKey> Translator::networkKey(const std::string& network) const {
  const auto found = caches_.catalog().network(network);
  if (!found) return std::nullopt;
  return keyOf(NetworkUid(found->metadata.uid));
}

bool Translator::anyWanted() const {
  const auto followed = caches_.servicesFollowed();
  for (const std::string& network : *followed) {
    const auto services = caches_.servicesOf(network);
    if (!services) continue;
    for (const auto& one : *services) {
      if (!endpoints::frontendsOf(*one.service, {}, place()).empty()) return true;
    }
  }
  return false;
}

Status Translator::drop(const Key& key, const std::set<Frontend>& kept) {
  const auto had = has_.find(key);
  if (had == has_.end()) return {};
  for (const Frontend& frontend : had->second) {
    const auto owner = owner_.find(frontend);
    if (kept.contains(frontend) || owner == owner_.end() || owner->second != key) continue;
    MULTINET_CHECK(table_->remove(frontend, ended_));
    owner_.erase(owner);
  }
  had->second = kept;
  if (kept.empty()) has_.erase(had);
  return {};
}

Status Translator::put(const Key& key, const std::string& network,
                       const watch::Caches::Service& service) {
  const auto on = networkKey(network);
  if (service.service == nullptr || !on) return drop(key, {});
  Status done;
  std::set<Frontend> wanted;
  const Terms terms{*on, endpoints::affinityOf(*service.service),
                    endpoints::reachesCluster(*service.service)};
  for (const auto& [frontend, targets] :
       endpoints::frontendsOf(*service.service, service.slices, place())) {
    wanted.insert(frontend);
    has_[key].insert(frontend);
    owner_[frontend] = key;
    Status one = table_->put(frontend, terms, targets, ended_);
    if (isFull(one)) {
      one = plane_.grow();
      if (one) one = table_->put(frontend, terms, targets, ended_);
    }
    if (!one) {
      done = fail(one.error().within("translate " + str(frontend) + " of Service " + key.first +
                                     "/" + key.second));
    }
  }
  MULTINET_CHECK(drop(key, wanted));
  return done;
}

Status Translator::followOne(const Name& name) {
  const Key key{name.nameSpace, name.name};
  const auto followed = caches_.servicesFollowed();
  if (!followed->contains(name.network)) return {};  // all are looked at when that changes
  const auto service = caches_.serviceOf(name.network, name.nameSpace, name.name);
  if (!service) return {};  // and when its list is there
  return put(key, name.network, *service);
}

Status Translator::followAll() {
  Status done;
  std::set<Key> there;
  std::set<NetworkKey> unknown;
  const auto followed = caches_.servicesFollowed();
  for (const std::string& network : *followed) {
    const auto services = caches_.servicesOf(network);
    if (!services) {
      if (const auto key = networkKey(network)) unknown.insert(*key);
      continue;
    }
    for (const auto& one : *services) {
      const Key key{one.service->metadata.nameSpace, one.service->metadata.name};
      there.insert(key);
      if (const Status put = this->put(key, network, one); !put) done = put;
    }
  }
  // What is there of a network whose services aren't known yet stays: an earlier agent knew them.
  for (const Frontend& frontend : table_->frontends()) {
    const auto owner = owner_.find(frontend);
    if (owner != owner_.end() && there.contains(owner->second)) continue;
    if (unknown.contains(table_->networkOf(frontend))) continue;
    if (const Status removed = table_->remove(frontend, ended_); !removed) done = removed;
    if (owner == owner_.end()) continue;
    has_.erase(owner->second);
    owner_.erase(owner);
  }
  return done;
}

void Translator::count(unsigned ended) {
  const std::lock_guard lock(mutex_);
  counts_ = {table_->size(), table_->endpoints(), table_->writes(), counts_.ended + ended};
}

void Translator::endSockets() {
  if (ended_.empty()) return;
  const auto ended = std::exchange(ended_, {});
  const auto count = plane_.end(ended, members_);
  if (!count) {
    return log::warn("can't end UDP sockets whose endpoint is gone", {{"error", count.error()}});
  }
  this->count(*count);
  if (*count > 0) log::info("ended UDP sockets whose endpoint is gone", {{"sockets", *count}});
}

}  // namespace multinet::agent::services
