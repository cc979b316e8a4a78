#include "controller/writer.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <mutex>
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

Waits waitsOf(WriteOutcome outcome) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  if (outcome == WriteOutcome::Refused) return {seconds(30), minutes(10)};
  if (outcome == WriteOutcome::Heals) return {seconds(1), seconds(30)};
  return {seconds(1), minutes(1)};
}

/// Longer than this nobody has wished for it: a new beginning.
constexpr Duration kForget = std::chrono::minutes(20);

std::string versionOf(const Write& write) {
  return write.uid + " " + write.resourceVersion +
         (write.verb == Verb::Create ? write.body.dump() : "");
}

bool sameSpec(std::string_view there, const json& body) {
  const auto standing = json::parse(there, nullptr, false);
  return standing.is_object() && body.contains("spec") &&
         standing.value("spec", json()) == body["spec"];
}

}  // namespace

std::string_view name(WriteOutcome outcome) {
  static constexpr std::array<std::string_view, kWriteOutcomes> kNames = {
      "done", "lost", "contradicted", "heals", "refused", "held-back", "not-leading", "not-begun"};
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
  PlannedWrite* planned = nullptr;
  WriteOutcome outcome = WriteOutcome::Done;
  std::optional<Error> error;
  std::optional<Duration> held;

  [[nodiscard]] const Write& write() const { return planned->write; }
};

/// What a look says of a try.
struct Writer::Finding {
  std::size_t index = 0;
  WriteOutcome outcome = WriteOutcome::Done;
  std::optional<Error> error;
};

/// One look at the API server, for all writes that have a premise about it.
struct Writer::Read {
  k8s::Kind kind;
  std::optional<k8s::ObjectKey> key;
  std::vector<std::pair<std::size_t, const Premise*>> premises;  ///< with the try's index
};

Writer::Writer(kube::Client& client, const Clock& clock, WriterOptions options)
    : client_(client), clock_(clock), options_(std::move(options)) {
  for (int i = 1; i < options_.parallel; ++i) {  // the caller is the first
    const auto lane = "write-" + std::to_string(i);
    lanes_.push_back(async::patiently(lane, [&] { return std::make_unique<async::Lane>(lane); }));
  }
}

void Writer::inParallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  if (count == 0) return;
  std::atomic<std::size_t> next = 0;
  const auto share = [&] {
    for (std::size_t item = next++; item < count; item = next++) work(item);
  };
  // The caller has a share: mostly there is one write, which wakes no other thread then.
  const std::size_t helpers = std::min(count - 1, lanes_.size());
  std::latch done(static_cast<std::ptrdiff_t>(helpers));
  for (std::size_t i = 0; i < helpers; ++i) {
    lanes_[i]->post([&] {
      share();
      done.count_down();
    });
  }
  share();
  done.wait();
}

std::vector<Written> Writer::send(std::vector<PlannedWrite> writes) {
  std::vector<Try> tries;
  tries.reserve(writes.size());
  for (auto& planned : writes) {
    tries.push_back({&planned, WriteOutcome::Done, std::nullopt, heldBack(planned.write)});
    if (tries.back().held) tries.back().outcome = WriteOutcome::HeldBack;
  }
  confirm(tries);
  const BootTime over = clock_.now() + options_.turn;
  const auto first = static_cast<std::size_t>(options_.parallel);
  inParallel(tries.size(), [&](std::size_t i) {
    if (tries[i].outcome != WriteOutcome::Done) return;
    if (i >= first && clock_.now() >= over) {
      tries[i].outcome = WriteOutcome::NotBegun;
    } else {
      execute(tries[i]);
    }
  });
  std::vector<Written> written;
  written.reserve(tries.size());
  for (const Try& attempt : tries) written.push_back(settle(attempt));
  const BootTime now = clock_.now();
  std::erase_if(setbacks_, [&](const auto& one) { return one.second.until + kForget < now; });
  return written;
}

std::uint64_t Writer::tried() const {
  std::uint64_t all = 0;
  for (const auto& one : counts_) all += one;
  for (const auto none :
       {WriteOutcome::HeldBack, WriteOutcome::NotLeading, WriteOutcome::NotBegun}) {
    all -= count(none);
  }
  return all;
}

std::optional<Duration> Writer::heldBack(const Write& write) const {
  const auto found = setbacks_.find(write.item());
  if (found == setbacks_.end()) return std::nullopt;
  const Setback& setback = found->second;
  const Duration left = setback.until - clock_.now();
  if (left <= Duration::zero()) return std::nullopt;
  if (setback.outcome != WriteOutcome::Heals && setback.version != versionOf(write))
    return std::nullopt;
  return left;
}

void Writer::confirm(std::vector<Try>& tries) {
  std::map<std::pair<std::string, std::string>, Read> reads;  // by kind and object
  for (std::size_t i = 0; i < tries.size(); ++i) {
    if (tries[i].outcome != WriteOutcome::Done) continue;
    for (const Premise& premise : tries[i].write().premises) {
      const auto key = premise.key ? premise.key->str() : "";
      auto& read = reads[{std::string(premise.kind.plural), key}];
      read.kind = premise.kind;
      read.key = premise.key;
      read.premises.emplace_back(i, &premise);
    }
  }
  std::vector<const Read*> list;
  list.reserve(reads.size());
  for (const auto& [key, read] : reads) list.push_back(&read);
  std::vector<std::vector<Finding>> found(list.size());
  inParallel(list.size(), [&](std::size_t i) { found[i] = look(*list[i]); });
  for (const auto& findings : found) {
    for (const Finding& finding : findings) {
      tries[finding.index].outcome = finding.outcome;
      tries[finding.index].error = finding.error;
    }
  }
}

std::vector<Writer::Finding> Writer::look(const Read& read) {
  std::vector<Finding> findings;
  const auto ask = [&](const simdjson::dom::element& there) -> Status {
    for (const auto& [index, premise] : read.premises) {
      if (premise->contradicts(there)) findings.push_back({index, WriteOutcome::Contradicted, {}});
    }
    return {};
  };
  Status status;
  if (read.key) {
    const auto body = client_.raw().get(read.kind, *read.key);
    if (body.has_value()) {
      status = kube::withJson(*body, ask);
    } else if (body.error().code != Code::NotFound) {
      status = fail(body.error());
    }
  } else if (const auto all = kube::listAll(client_.raw(), read.kind, {}, {}, ask); !all) {
    status = fail(all.error());
  }
  if (status.has_value()) return findings;
  findings.clear();
  // What can't be read now is a reason to wait, whatever the server said.
  for (const auto& [index, premise] : read.premises) {
    findings.push_back({index, WriteOutcome::Heals, status.error()});
  }
  return findings;
}

void Writer::execute(Try& attempt) {
  if (!options_.leading()) {
    attempt.outcome = WriteOutcome::NotLeading;
    return;
  }
  const Write& write = attempt.write();
  if (const auto done = call(attempt.planned->write); !done.has_value()) {
    attempt.outcome = sorted(done.error());
    attempt.error = done.error();
    return;
  }
  options_.done(write);
  if (!write.why.empty()) log::info("wrote", {{"write", write.item()}, {"why", write.why}});
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
  const Write& write = attempt.write();
  ++counts_[static_cast<std::size_t>(attempt.outcome)];
  Written written{attempt.planned->origin, attempt.outcome, std::nullopt};
  switch (attempt.outcome) {
    case WriteOutcome::Done:
      setbacks_.erase(write.item());
      return written;
    case WriteOutcome::HeldBack:
      written.again = attempt.held;
      return written;
    case WriteOutcome::NotLeading:
      written.again = kLookAgain;
      return written;
    case WriteOutcome::NotBegun:
      written.again = Duration::zero();
      return written;
    default:
      break;
  }
  const auto [first, most] = waitsOf(attempt.outcome);
  Setback& setback = setbacks_[write.item()];
  const bool same = setback.outcome == attempt.outcome;
  setback.wait = std::clamp(same ? setback.wait * 2 : first, first, most);
  setback.outcome = attempt.outcome;
  setback.until = clock_.now() + setback.wait;
  setback.version = versionOf(write);
  written.again = setback.wait;
  if (attempt.outcome == WriteOutcome::Refused) {
    log::error("the server refuses a write", {{"write", write.item()}, {"error", *attempt.error}});
    options_.refused(write, *attempt.error);
  } else if (attempt.outcome == WriteOutcome::Heals) {
    log::warn("a write failed", {{"write", write.item()}, {"error", *attempt.error}});
  }
  return written;
}

}  // namespace multinet::controller
