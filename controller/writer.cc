#include "controller/writer.h"

#include <algorithm>
#include <utility>

#include "controller/leading.h"
#include "lib/async/start_thread.h"
#include "lib/base/log.h"

namespace multinet::controller {
namespace {

using nlohmann::json;

/// The first wait and the longest.
struct Waits {
  Duration first{};
  Duration most{};
};

Waits waitsOf(WriteOutcome outcome, bool isAbout) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  // What somebody asked for may become possible: a node port that another Service had.
  if (outcome == WriteOutcome::Refused && isAbout) return {seconds(5), minutes(1)};
  if (outcome == WriteOutcome::Refused) return {seconds(30), minutes(10)};
  if (outcome == WriteOutcome::Heals) return {seconds(1), seconds(30)};
  return {seconds(1), minutes(1)};
}

/// Longer than this nobody has wished for it: a new beginning.
constexpr Duration kForget = std::chrono::minutes(20);

std::string versionOf(const Write& write) {
  const auto& about = write.about;
  return write.uid + " " + write.resourceVersion + " " + about.uid + " " +
         std::to_string(about.generation) + (write.verb == Verb::Create ? write.body.dump() : "");
}

bool sameSpec(std::string_view there, const json& body) {
  const auto standing = json::parse(there, nullptr, false);
  return standing.is_object() && body.contains("spec") &&
         standing.value("spec", json()) == body["spec"];
}

}  // namespace

std::string_view name(WriteOutcome outcome) {
  static constexpr std::array<std::string_view, kWriteOutcomes> kNames = {
      "done", "lost", "contradicted", "heals", "refused", "held-back", "not-leading"};
  return kNames[static_cast<std::size_t>(outcome)];
}

WriteOutcome sorted(const Error& error) {
  switch (error.code) {
    case Code::Aborted:
    case Code::AlreadyExists:
    case Code::NotFound:
      return WriteOutcome::Lost;
    // The server's word on what the object is: the same write again gets the same answer.
    case Code::InvalidArgument:
    case Code::PermissionDenied:
    case Code::Unimplemented:
      return WriteOutcome::Refused;
    default:
      return WriteOutcome::Heals;
  }
}

/// A write under way.
struct Writer::Try {
  PlannedWrite planned;
  std::size_t reads = 0;  ///< for its premises, that haven't ended; under the lock, as outcome then
  WriteOutcome outcome = WriteOutcome::Done;
  std::optional<Error> error;
};

/// One look at the API server, for all writes that have a premise about it.
struct Writer::Read {
  k8s::Kind kind;
  std::optional<k8s::ObjectKey> key;
  std::vector<std::pair<std::shared_ptr<Try>, const Premise*>> premises;
};

Writer::Writer(kube::Client& client, const Clock& clock, WriterOptions options)
    : client_(client), clock_(clock), options_(std::move(options)) {
  for (int i = 0; i < options_.parallel; ++i) {
    const auto lane = "write-" + std::to_string(i);
    lanes_.push_back(async::patiently(lane, [&] { return std::make_unique<async::Lane>(lane); }));
    resting_.push_back(lanes_.back().get());
  }
}

std::vector<Written> Writer::begin(std::vector<PlannedWrite> writes) {
  std::vector<Written> heldBack;
  std::map<std::pair<std::string, std::string>, Read> reads;  // by kind and object
  const std::lock_guard lock(mutex_);
  for (auto& planned : writes) {
    if (const auto left = this->heldBack(planned.write)) {
      counted(WriteOutcome::HeldBack);
      heldBack.push_back({planned.origin, WriteOutcome::HeldBack, left});
      continue;
    }
    auto attempt = std::make_shared<Try>();
    attempt->planned = std::move(planned);
    for (const Premise& premise : attempt->planned.write.premises) {
      const auto key = premise.key ? premise.key->str() : "";
      auto& read = reads[{std::string(premise.kind.plural), key}];
      read.kind = premise.kind;
      read.key = premise.key;
      read.premises.emplace_back(attempt, &premise);
      ++attempt->reads;
    }
    if (attempt->reads == 0) push(attempt->planned.origin, [this, attempt] { execute(attempt); });
  }
  for (auto& [key, read] : reads) {
    const Origin origin = read.premises.front().first->planned.origin;
    push(origin, [this, one = std::move(read)] { look(one); });
  }
  return heldBack;
}

void Writer::push(const Origin& origin, std::function<void()> run) {
  jobs_.push_back({origin.reconciler, std::move(run)});
  if (resting_.empty()) return;
  async::Lane& lane = *resting_.back();
  resting_.pop_back();
  lane.post([this, &lane] { work(lane); });
}

void Writer::work(async::Lane& lane) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto next = std::ranges::find_if(
        jobs_, [this](const Job& job) { return working_[job.reconciler] < options_.ofOne; });
    if (next == jobs_.end()) break;
    const Job job = std::move(*next);
    jobs_.erase(next);
    ++working_[job.reconciler];
    lock.unlock();
    job.run();
    lock.lock();
    --working_[job.reconciler];
  }
  resting_.push_back(&lane);
  quiet_.notify_all();
}

void Writer::wait() {
  std::unique_lock lock(mutex_);
  quiet_.wait(lock, [this] { return jobs_.empty() && resting_.size() == lanes_.size(); });
}

std::vector<Written> Writer::ended() {
  std::vector<std::shared_ptr<Try>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  std::vector<Written> written;
  written.reserve(ended.size());
  for (const auto& attempt : ended) written.push_back(settle(*attempt));
  forgetOld();
  return written;
}

void Writer::forgetOld() {
  const BootTime now = clock_.now();
  if (now < forgetAt_) return;
  forgetAt_ = now + kEchoPatience;
  std::erase_if(setbacks_, [now](const auto& one) { return one.second.until + kForget < now; });
  std::erase_if(echoes_, [now](const auto& one) { return one.second.until < now; });
}

bool Writer::tellNext(bool awaited) {
  const std::lock_guard lock(mutex_);
  awaited_ = awaited;
  return awaited && !ended_.empty();
}

void Writer::end(std::shared_ptr<Try> attempt) {
  const WriteOutcome outcome = attempt->outcome;
  counted(outcome);
  {
    const std::lock_guard lock(mutex_);
    ended_.push_back(std::move(attempt));
    if (outcome == WriteOutcome::Done && !awaited_) return;
  }
  options_.ended();
}

std::optional<Duration> Writer::heldBack(const Write& write) const {
  const std::string item = write.item();
  if (const auto echo = echoes_.find(item); echo != echoes_.end()) {
    const Duration left = echo->second.until - clock_.now();
    if (left > Duration::zero() && echo->second.version == versionOf(write)) return left;
  }
  const auto found = setbacks_.find(item);
  if (found == setbacks_.end()) return std::nullopt;
  const Setback& setback = found->second;
  const Duration left = setback.until - clock_.now();
  if (left <= Duration::zero()) return std::nullopt;
  if (setback.outcome != WriteOutcome::Heals && setback.version != versionOf(write))
    return std::nullopt;
  return left;
}

std::vector<std::pair<Writer::Try*, WriteOutcome>> Writer::against(const Read& read,
                                                                   std::optional<Error>& error) {
  std::vector<std::pair<Try*, WriteOutcome>> found;
  const auto ask = [&](const simdjson::dom::element& there) -> Status {
    for (const auto& [attempt, premise] : read.premises) {
      if (premise->contradicts(there)) {
        found.emplace_back(attempt.get(), WriteOutcome::Contradicted);
      }
    }
    return {};
  };
  Status status;
  const bool isOfOne = read.key && !read.key->name.empty();
  if (isOfOne) {
    const auto body = client_.raw().get(read.kind, *read.key);
    if (body.has_value()) {
      status = kube::withJson(*body, ask);
    } else if (body.error().code != Code::NotFound) {
      status = fail(body.error());
    }
  } else {
    const std::string nameSpace = read.key ? read.key->nameSpace : "";
    const auto all = kube::listAll(client_.raw(), read.kind, {nameSpace, "", ""}, {}, ask);
    if (!all) status = fail(all.error());
  }
  if (status.has_value()) return found;
  found.clear();
  // What can't be read now is a reason to wait, whatever the server said.
  error = status.error();
  for (const auto& [attempt, premise] : read.premises) {
    found.emplace_back(attempt.get(), WriteOutcome::Heals);
  }
  return found;
}

void Writer::look(const Read& read) {
  std::optional<Error> error;
  const auto found = against(read, error);
  std::vector<std::shared_ptr<Try>> over;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [attempt, outcome] : found) {
      attempt->outcome = outcome;
      attempt->error = error;
    }
    for (const auto& [attempt, premise] : read.premises) {
      if (--attempt->reads > 0) continue;
      if (attempt->outcome == WriteOutcome::Done) {
        push(attempt->planned.origin, [this, one = attempt] { execute(one); });
      } else {
        over.push_back(attempt);
      }
    }
  }
  for (auto& attempt : over) end(std::move(attempt));
}

void Writer::execute(const std::shared_ptr<Try>& attempt) {
  PlannedWrite& planned = attempt->planned;
  if (!options_.leading()) {
    attempt->outcome = WriteOutcome::NotLeading;
  } else if (const auto done = call(planned.write); !done.has_value()) {
    attempt->outcome = sorted(done.error());
    attempt->error = done.error();
  } else {
    options_.done(planned);
    const Write& write = planned.write;
    if (!write.why.empty()) log::info("wrote", {{"write", write.item()}, {"why", write.why}});
  }
  end(attempt);
}

Status Writer::call(Write& write) {
  auto& raw = client_.raw();
  if (write.verb == Verb::Delete) {
    return raw.remove(write.kind, write.key, {write.uid, write.resourceVersion});
  }
  if (write.verb == Verb::Create) {
    MULTINET_CHECK(raw.create(write.kind, write.body,
                              [&](std::string_view there) { return sameSpec(there, write.body); }));
    return {};
  }
  json body = std::move(write.body);
  body["metadata"]["uid"] = write.uid;
  body["metadata"]["resourceVersion"] = write.resourceVersion;
  const auto subresource =
      write.verb == Verb::PatchStatus ? kube::Subresource::Status : kube::Subresource::None;
  MULTINET_CHECK(raw.patch(write.kind, write.key, kube::PatchType::Merge, std::move(body),
                           subresource, kube::Conflicts::Refuse));
  return {};
}

Written Writer::settle(const Try& attempt) {
  const Write& write = attempt.planned.write;
  Written written{attempt.planned.origin, attempt.outcome, std::nullopt};
  const bool isAbout = write.about.generation != 0;
  if (isAbout) {
    written.about = write.about;
    written.item = write.item();
  }
  switch (attempt.outcome) {
    case WriteOutcome::Done:
      setbacks_.erase(write.item());
      echoes_[write.item()] = {clock_.now() + kEchoPatience, versionOf(write)};
      return written;
    case WriteOutcome::NotLeading:
      written.again = kLookAgain;
      return written;
    default:
      break;
  }
  const auto [first, most] = waitsOf(attempt.outcome, isAbout);
  Setback& setback = setbacks_[write.item()];
  auto version = versionOf(write);
  // What was refused and is another by now begins anew.
  const bool same = setback.outcome == attempt.outcome &&
                    (attempt.outcome != WriteOutcome::Refused || setback.version == version);
  setback.wait = std::clamp(same ? setback.wait * 2 : first, first, most);
  setback.outcome = attempt.outcome;
  setback.until = clock_.now() + setback.wait;
  setback.version = std::move(version);
  written.again = setback.wait;
  if (attempt.outcome == WriteOutcome::Refused) {
    log::error("the server refuses a write", {{"write", write.item()}, {"error", *attempt.error}});
    options_.refused(write, *attempt.error);
    written.refusal = attempt.error->message;
  } else if (attempt.outcome == WriteOutcome::Heals) {
    log::warn("a write failed", {{"write", write.item()}, {"error", *attempt.error}});
  }
  return written;
}

}  // namespace multinet::controller
