#include "test/support/object_store.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <utility>

namespace multinet::testing {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::string textAt(const Json& object, const std::string& dotted) {
  const Json* node = &object;
  for (const auto& part : split(dotted, '.')) {
    if (!node->is_object() || !node->contains(part)) return {};
    node = &node->at(part);
  }
  return node->is_string() ? node->get<std::string>() : std::string();
}

/// The terms of a selector: commas in `in (...)` part nothing.
std::vector<std::string> terms(const std::string& selector) {
  std::vector<std::string> all;
  bool inside = false;
  bool begins = true;
  for (const char c : selector) {
    if (c == '(' || c == ')') inside = c == '(';
    if (c == ',' && !inside) {
      begins = true;
      continue;
    }
    if (std::exchange(begins, false)) all.emplace_back();
    all.back() += c;
  }
  return all;
}

/// `a=b,c==d,e!=f,g in (h,i),!j,k` on what `value` finds.
bool selected(const std::string& selector,
              const std::function<std::string(const std::string&)>& value) {
  for (const auto& term : terms(selector)) {
    if (const auto in = term.find(" in ("); in != std::string::npos) {
      const auto names = split(term.substr(in + 5, term.size() - in - 6), ',');
      if (std::ranges::find(names, value(term.substr(0, in))) == names.end()) return false;
      continue;
    }
    const auto equals = term.find('=');
    if (equals == std::string::npos) {
      const bool absent = term.starts_with('!');
      if (value(term.substr(absent ? 1 : 0)).empty() != absent) return false;
      continue;
    }
    const bool negated = equals > 0 && term[equals - 1] == '!';
    const auto key = term.substr(0, negated ? equals - 1 : equals);
    auto wanted = term.substr(equals + 1);
    if (wanted.starts_with('=')) wanted.erase(0, 1);
    if ((value(key) == wanted) == negated) return false;
  }
  return true;
}

StoreAnswer notFound(const ResourcePath& path) {
  return failure(404, "NotFound", path.collection + " \"" + path.name + "\" not found");
}

}  // namespace

ResourcePath ResourcePath::parse(std::string_view path) {
  const auto parts = split(path, '/');
  const std::size_t prefix = !parts.empty() && parts[0] == "api" ? 2 : 3;
  if (parts.size() <= prefix || (parts[0] != "api" && parts[0] != "apis")) return {};
  ResourcePath parsed;
  for (std::size_t i = 0; i < prefix; ++i) parsed.collection += "/" + parts[i];
  std::size_t at = prefix;
  const bool namespaced = parts[at] == "namespaces" && parts.size() >= at + 3 &&
                          parts[at + 2] != "status" && parts[at + 2] != "finalize";
  if (namespaced) {
    parsed.nameSpace = parts[at + 1];
    at += 2;
  }
  parsed.collection += "/" + parts[at];
  if (parts.size() > at + 1) parsed.name = parts[at + 1];
  if (parts.size() > at + 2) parsed.subresource = parts[at + 2];
  return parsed;
}

StoreAnswer failure(int status, const std::string& reason, const std::string& message) {
  return {status,
          {{"kind", "Status"},
           {"apiVersion", "v1"},
           {"status", "Failure"},
           {"reason", reason},
           {"message", message},
           {"code", status}}};
}

bool ObjectStore::matches(const Json& object, const std::string& labels,
                          const std::string& fields) {
  return selected(labels,
                  [&](const std::string& key) {
                    const auto found = object.find("metadata");
                    if (found == object.end() || !found->contains("labels")) return std::string();
                    return found->at("labels").value(key, "");
                  }) &&
         selected(fields, [&](const std::string& key) { return textAt(object, key); });
}

StoreAnswer ObjectStore::get(const ResourcePath& path) const {
  const std::lock_guard lock(mutex_);
  const auto collection = collections_.find(path.collection);
  if (collection == collections_.end()) return notFound(path);
  const auto found = collection->second.find({path.nameSpace, path.name});
  return found == collection->second.end() ? notFound(path) : StoreAnswer{200, found->second};
}

StoreAnswer ObjectStore::list(const ResourcePath& path, const std::string& labels,
                              const std::string& fields, std::size_t limit,
                              const std::string& resume) const {
  const std::lock_guard lock(mutex_);
  Json items = Json::array();
  std::string next;
  const auto collection = collections_.find(path.collection);
  if (collection != collections_.end()) {
    std::string last;
    for (const auto& [key, object] : collection->second) {
      const auto token = key.first + "/" + key.second;
      if (!resume.empty() && token <= resume) continue;
      if (!path.nameSpace.empty() && key.first != path.nameSpace) continue;
      if (!matches(object, labels, fields)) continue;
      if (limit > 0 && items.size() == limit) {
        next = last;
        break;
      }
      items.push_back(object);
      last = token;
    }
  }
  return {200,
          {{"kind", "List"},
           {"apiVersion", "v1"},
           {"metadata", {{"resourceVersion", std::to_string(revision_)}, {"continue", next}}},
           {"items", items}}};
}

Json* ObjectStore::find(const ResourcePath& path) {
  auto& objects = collections_[path.collection];
  const auto found = objects.find({path.nameSpace, path.name});
  return found == objects.end() ? nullptr : &found->second;
}

StoreAnswer ObjectStore::commit(const std::string& type, const ResourcePath& path, Json object) {
  ++revision_;
  object["metadata"]["resourceVersion"] = std::to_string(revision_);
  auto& objects = collections_[path.collection];
  const auto old = objects.find({path.nameSpace, path.name});
  history_.push_back({revision_, type, path, std::make_shared<const Json>(object),
                      old == objects.end() ? nullptr : std::make_shared<const Json>(old->second)});
  if (type == "DELETED") {
    objects.erase({path.nameSpace, path.name});
  } else {
    objects[{path.nameSpace, path.name}] = object;
  }
  changed_.notify_all();
  return {type == "ADDED" ? 201 : 200, std::move(object)};
}

StoreAnswer ObjectStore::createLocked(const ResourcePath& path, Json object) {
  ResourcePath place = path;
  auto& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  place.name = metadata.value("name", place.name);
  if (place.name.empty()) return failure(422, "Invalid", "metadata.name: Required value");
  if (find(place) != nullptr) {
    return failure(409, "AlreadyExists", "\"" + place.name + "\" already exists");
  }
  metadata["name"] = place.name;
  if (!place.nameSpace.empty()) metadata["namespace"] = place.nameSpace;
  std::string number = std::to_string(++uids_);
  metadata["uid"] = "00000000-0000-4000-8000-" + std::string(12 - number.size(), '0') + number;
  metadata["creationTimestamp"] = "2026-01-01T00:00:00Z";
  metadata["generation"] = 1;
  if (statusSubresources.contains(place.collection)) object.erase("status");
  return commit("ADDED", place, std::move(object));
}

StoreAnswer ObjectStore::create(const ResourcePath& path, Json object) {
  if (path.subresource == "eviction") {
    auto evicted = remove(path, object.value("deleteOptions", Json::object()));
    if (evicted.status == 200) evicted.status = 201;
    return evicted;
  }
  const std::lock_guard lock(mutex_);
  return createLocked(path, std::move(object));
}

StoreAnswer ObjectStore::replace(const ResourcePath& path, Json object) {
  const Json& old = *find(path);
  const Json given = object.value("metadata", Json::object());
  const auto uid = given.value("uid", "");
  if (!uid.empty() && Json(uid) != old["metadata"]["uid"]) {
    return failure(409, "Conflict", "Precondition failed: UID");
  }
  const auto revision = given.value("resourceVersion", "");
  if (!revision.empty() && Json(revision) != old["metadata"]["resourceVersion"]) {
    return failure(409, "Conflict", "the object has been modified");
  }
  if (path.subresource == "status") {
    Json merged = old;
    merged["status"] = object.value("status", Json::object());
    object = std::move(merged);
  } else if (statusSubresources.contains(path.collection)) {
    object.erase("status");
    if (old.contains("status")) object["status"] = old["status"];
  }
  auto& metadata = object["metadata"];
  for (const auto* kept : {"uid", "name", "namespace", "creationTimestamp", "deletionTimestamp",
                           "generation", "resourceVersion"}) {
    metadata.erase(kept);
    if (old["metadata"].contains(kept)) metadata[kept] = old["metadata"][kept];
  }
  if (object == old) return {200, object};
  if (object.value("spec", Json()) != old.value("spec", Json())) {
    metadata["generation"] = old["metadata"].value("generation", 1) + 1;
  }
  const bool finalized =
      metadata.contains("deletionTimestamp") && metadata.value("finalizers", Json::array()).empty();
  return commit(finalized ? "DELETED" : "MODIFIED", path, std::move(object));
}

StoreAnswer ObjectStore::update(const ResourcePath& path, Json object) {
  const std::lock_guard lock(mutex_);
  return find(path) == nullptr ? notFound(path) : replace(path, std::move(object));
}

StoreAnswer ObjectStore::patch(const ResourcePath& path, const Json& patch, IfAbsent ifAbsent) {
  const std::lock_guard lock(mutex_);
  const Json* old = find(path);
  if (old == nullptr) {
    return ifAbsent == IfAbsent::Create ? createLocked(path, patch) : notFound(path);
  }
  Json merged = *old;
  // Only what the patch itself says is a precondition.
  merged["metadata"].erase("resourceVersion");
  merged.merge_patch(patch);
  return replace(path, std::move(merged));
}

StoreAnswer ObjectStore::remove(const ResourcePath& path, const Json& options) {
  const std::lock_guard lock(mutex_);
  const Json* old = find(path);
  if (old == nullptr) return notFound(path);
  Json object = *old;
  const auto preconditions =
      options.is_object() ? options.value("preconditions", Json::object()) : Json::object();
  for (const auto* field : {"uid", "resourceVersion"}) {
    if (preconditions.contains(field) && preconditions[field] != object["metadata"][field]) {
      return failure(409, "Conflict", std::string("Precondition failed: ") + field);
    }
  }
  if (!object["metadata"].value("finalizers", Json::array()).empty()) {
    if (object["metadata"].contains("deletionTimestamp")) return {200, object};
    object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
    return commit("MODIFIED", path, std::move(object));
  }
  return commit("DELETED", path, std::move(object));
}

bool ObjectStore::eventsAfter(std::uint64_t revision, std::vector<StoreEvent>& events,
                              std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] {
    return revision < compacted_ || (!history_.empty() && history_.back().revision > revision);
  });
  if (revision < compacted_) return false;
  const auto first = std::ranges::upper_bound(history_, revision, {}, &StoreEvent::revision);
  events.insert(events.end(), first, history_.end());
  return true;
}

std::uint64_t ObjectStore::revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

void ObjectStore::compact() {
  const std::lock_guard lock(mutex_);
  history_.clear();
  compacted_ = ++revision_;
  changed_.notify_all();
}

void ObjectStore::goBackTo(std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  history_.clear();
  compacted_ = 0;
  revision_ = revision;
}

}  // namespace multinet::testing
