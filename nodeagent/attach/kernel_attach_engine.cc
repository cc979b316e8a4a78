#include "nodeagent/attach/kernel_attach_engine.h"

#include <set>

#include "lib/async/intake.h"
#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "nodeagent/attach/announcer.h"
#include "nodeagent/attach/maintain.h"
#include "nodeagent/attach/observe.h"
#include "nodeagent/attach/ports.h"
#include "nodeagent/attach/reaper.h"

namespace multinet::agent::attach {
namespace {

template <class Task>
using Lane = async::Intake<Task>;

/// Many links at once take a second or two.
constexpr std::chrono::seconds kStuck(15);

struct AttachTask {
  Desired desired;
  Fd netns;
  AbortFlag abort;
  async::Answer<std::vector<InterfaceStatus>> done;
};

struct MaintainTask {
  Desired desired;
  Fd netns;
  AbortFlag abort;
  async::Answer<Upkeep> done;
};

Result<netlink::Socket> openIn(const Fd& netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  return netlink::Socket::open();
}

template <class Task>
Error refused(typename Lane<Task>::Push push, std::string_view what, std::size_t capacity) {
  if (push == Lane<Task>::Push::Full) {
    return Error{Code::ResourceExhausted, "QueueFull",
                 std::string(what) + ": " + std::to_string(capacity) + " are waiting already"};
  }
  return Error{Code::Unavailable, "Stopping", std::string(what) + ": the agent is stopping"};
}

void tooOld(const AttachTask& task) {
  task.done(fail(Code::DeadlineExceeded, "QueueTooOld",
                 "attach: it waited too long for its turn; the thread that makes links hangs or "
                 "has too much to do"));
}

}  // namespace

class KernelAttachEngine::Impl {
 public:
  /// In the order of HostSide: the switch's socket, and the host's own.
  struct Sockets {
    netlink::Socket ends;
    netlink::Socket parents;
    HostSide side() { return {ends, parents}; }
  };

  Impl(EngineOptions options, const Clock& clock, Sockets attachSockets, Sockets maintainSockets,
       std::vector<netlink::Socket> reaperSockets, netns::Home home)
      : options_(std::move(options)),
        clock_(clock),
        sockets_(std::move(attachSockets)),
        maintainSockets_(std::move(maintainSockets)),
        guards_{options_.guard, options_.policies},
        reaper_(std::move(reaperSockets), guards_),
        home_(std::move(home)),
        removals_({"mn-reaper", options_.detachQueue, 256},
                  [this](std::vector<Removal> batch) { reaper_.run(std::move(batch)); }),
        attaches_({.name = "mn-attach",
                   .capacity = options_.attachQueue,
                   .batch = 1,
                   .patience = options_.attachPatience,
                   .tooOld = tooOld,
                   .clock = &clock_},
                  [this](std::vector<AttachTask> batch) {
                    for (AttachTask& task : batch) run(std::move(task));
                  }),
        looks_({"mn-maintain", options_.maintainQueue, 1}, [this](std::vector<MaintainTask> batch) {
          for (MaintainTask& task : batch) maintainNow(std::move(task));
        }) {}

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    for (MaintainTask& task : looks_.stop()) {
      task.done(fail(refused<MaintainTask>(Lane<MaintainTask>::Push::Stopped, "maintain", 0)));
    }
    for (AttachTask& task : attaches_.stop()) {
      task.done(fail(refused<AttachTask>(Lane<AttachTask>::Push::Stopped, "attach", 0)));
    }
    std::vector<Removal> rollbacks;
    for (Removal& removal : removals_.stop()) {
      if (removal.rollback) {
        rollbacks.push_back(std::move(removal));
      } else {
        removal.done(fail(refused<Removal>(Lane<Removal>::Push::Stopped, "detach", 0)));
      }
    }
    reaper_.run(std::move(rollbacks));
  }

  void attach(AttachTask task) {
    const auto push = attaches_.push(task);
    if (push == Lane<AttachTask>::Push::Taken) return;
    task.done(fail(refused<AttachTask>(push, "attach", options_.attachQueue)));
  }

  void maintain(MaintainTask task) {
    const auto push = looks_.push(task);
    if (push == Lane<MaintainTask>::Push::Taken) return;
    task.done(fail(refused<MaintainTask>(push, "maintain", options_.maintainQueue)));
  }

  void detach(Removal removal) {
    announcer_.cancel(removal.detach->intent);
    const auto push = removals_.push(removal);
    if (push == Lane<Removal>::Push::Taken) return;
    removal.done(fail(refused<Removal>(push, "detach", options_.detachQueue)));
  }

  void watchWith(async::Watchdog& watchdog) const {
    watchdog.watch([this] { return attaches_.health(); }, kStuck);
    watchdog.watch([this] { return removals_.health(); }, kStuck);
    watchdog.watch([this] { return looks_.health(); }, kStuck);
  }

  Result<std::vector<ObservedInterface>> observe(const std::optional<Fd>& netns) {
    MULTINET_TRY(auto found, lookAtHost());
    if (!netns) return found;
    MULTINET_TRY(Fd copy, netns->duplicate());
    MULTINET_TRY(Pod pod, Pod::open(std::move(copy)));
    MULTINET_TRY(auto inPod, findMarked(pod.socket()));
    addAsPods(std::move(inPod), found);
    return found;
  }

  Result<std::vector<ObservedInterface>> observeAll() {
    MULTINET_CHECK(failpoint::check("attach.observe-all"));
    MULTINET_TRY(auto found, lookAtHost());
    std::set<netns::Identity> hosts;
    for (const Fd* side : hostNamespaces()) {
      MULTINET_TRY(const netns::Identity identity, netns::identity(*side));
      hosts.insert(identity);
    }
    const auto look = [&](const Fd& one) -> Status {
      MULTINET_TRY(const netns::Identity identity, netns::identity(one));
      if (hosts.contains(identity)) return {};
      MULTINET_TRY(auto inPod, lookInto(one));
      addAsPods(std::move(inPod), found);
      return {};
    };
    MULTINET_CHECK(netns::forEach(look, options_.proc));
    return found;
  }

 private:
  [[nodiscard]] std::vector<const Fd*> hostNamespaces() const {
    if (!options_.switchNetns) return {&home_.netns};
    return {&home_.netns, &*options_.switchNetns};
  }

  static Result<std::vector<ObservedInterface>> lookInto(const Fd& netns) {
    MULTINET_TRY(auto socket, openIn(netns));
    return findMarked(socket);
  }

  [[nodiscard]] Result<std::vector<ObservedInterface>> lookAtHost() const {
    std::vector<ObservedInterface> found;
    for (const Fd* side : hostNamespaces()) {
      MULTINET_TRY(auto links, lookInto(*side));
      found.insert(found.end(), links.begin(), links.end());
    }
    return found;
  }

  static void addAsPods(std::vector<ObservedInterface> inPod,
                        std::vector<ObservedInterface>& found) {
    for (ObservedInterface& link : inPod) {
      link.inPod = true;
      found.push_back(std::move(link));
    }
  }

  void run(AttachTask task) {
    auto pod = Pod::open(std::move(task.netns), home_);
    if (!pod) return task.done(fail(pod.error().within("attach " + task.desired.intent.str())));
    Outcome outcome = attempt(task, *pod);
    // Where nothing was made a whole look at the parents may say what is wrong with one.
    if (!outcome.result && parents_.forget() && outcome.undo.empty()) {
      forget(outcome);
      outcome = attempt(task, *pod);
    }
    auto& [result, undo, changed, ports] = outcome;
    if (result || undo.empty()) {
      if (!result) forget(outcome);
      // Before the answer, after which it may be cancelled; what wakes a thread comes after it.
      const auto ticket =
          result && changed ? hold(task.desired.intent, *pod, *result) : std::nullopt;
      task.done(std::move(result));
      if (ticket) announcer_.start(*ticket);
      return;
    }
    log::warn("attach failed, taking it back",
              {{"intent", task.desired.intent}, {"error", result.error()}});
    removals_.force(Removal{Rollback{std::move(*pod), std::move(undo), std::move(ports)},
                            std::nullopt, afterRollback(task, result.error())});
  }

  /// Answers the attach with its own error once all is taken back, or with both errors.
  static async::Answer<void> afterRollback(AttachTask& task, const Error& error) {
    return
        [error, intent = task.desired.intent, done = std::move(task.done)](const Status& undone) {
          if (undone) return done(fail(error));
          log::error("rollback failed", {{"intent", intent}, {"error", undone.error()}});
          done(fail(error.code, error.reason,
                    error.message + "; and taking it back failed: " + undone.error().message));
        };
  }

  struct Outcome {
    Result<std::vector<InterfaceStatus>> result;
    Undo undo;                         ///< what a failure has to take back
    bool changed = false;              ///< something was put into the pod
    std::vector<std::string> ports{};  ///< that were secured for it
  };

  /// Of an attempt that made no link.
  void forget(const Outcome& outcome) {
    if (!outcome.ports.empty()) guards_.release(outcome.ports);
  }

  Outcome attempt(const AttachTask& task, Pod& pod) {
    if (task.abort && task.abort->load()) {
      return {fail(Code::Cancelled, "Aborted", "attach: nobody wants it any more"), {}};
    }
    if (Status place = failpoint::check("attach.observe.before"); !place) {
      return {fail(place.error()), {}};
    }
    const auto observed = observePod(sockets_.side(), parents_, pod, task.desired);
    if (!observed) return {fail(observed.error()), {}};
    const auto ops = plan(task.desired, *observed);
    if (!ops) return {fail(ops.error()), {}};
    auto secured = secureInterfaces(options_.guard, task.desired, *observed, *ops);
    if (!secured) return {fail(secured.error().within("attach")), {}};
    const auto held = policeInterfaces(guards_.policies, pod, task.desired, *observed, *ops);
    if (!held) return {fail(held.error().within("attach")), {}, false, std::move(secured->added)};
    secured->added.insert(secured->added.end(), held->begin(), held->end());
    Applier::BeforeUp beforeUp;
    if (!secured->inPod.empty() || !held->empty()) {
      beforeUp = [&](const auto& replacedMacs) {
        return guards_.beforeUp(task.desired.intent, pod, secured->inPod, replacedMacs);
      };
    }
    Applier applier(sockets_.side(), pod, task.abort, presentLinks(*observed, task.desired),
                    std::move(beforeUp));
    Status applied = applier.apply(*ops);
    const auto failed = [&](const Error& error) {
      return Outcome{fail(error), applier.undo(), false, std::move(secured->added)};
    };
    if (!applied) return failed(applied.error());
    auto statuses = readBack(pod, task.desired, applier, clock_.wall());
    if (!statuses) return failed(statuses.error());
    for (std::size_t i = 0; i < statuses->size(); ++i) {
      (*statuses)[i].secured = std::move(secured->told[i]);
    }
    return {std::move(statuses), {}, !ops->empty()};
  }

  std::optional<Announcer::Ticket> hold(const IntentId& intent, const Pod& pod,
                                        const std::vector<InterfaceStatus>& interfaces) {
    auto netns = pod.netns().duplicate();
    if (!netns) return std::nullopt;
    return announcer_.hold(intent, std::move(*netns), interfaces);
  }

  void maintainNow(MaintainTask task) {
    const IntentId& intent = task.desired.intent;
    auto pod = Pod::open(std::move(task.netns), home_);
    if (!pod) return task.done(fail(pod.error().within("maintain " + intent.str())));
    if (Status place = failpoint::check("maintain.before"); !place) {
      return task.done(fail(place.error()));
    }
    auto upkeep = maintainPod(maintainSockets_.side(), *pod, guards_, task.desired, task.abort);
    const auto ticket =
        upkeep && !upkeep->repairs.empty() ? hold(intent, *pod, upkeep->interfaces) : std::nullopt;
    task.done(std::move(upkeep));
    if (ticket) announcer_.start(*ticket);
  }

  EngineOptions options_;
  const Clock& clock_;
  Sockets sockets_;          // of the attach thread
  Parents parents_;          // of the attach thread
  Sockets maintainSockets_;  // of the maintain thread
  const Guards guards_;
  Reaper reaper_;     // of the reaper thread
  netns::Home home_;  // of all threads
  Announcer announcer_;
  Lane<Removal> removals_;
  Lane<AttachTask> attaches_;  // after those that it pushes into
  Lane<MaintainTask> looks_;
};

KernelAttachEngine::KernelAttachEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelAttachEngine::~KernelAttachEngine() = default;

Result<std::unique_ptr<KernelAttachEngine>> KernelAttachEngine::start(EngineOptions options,
                                                                      const Clock& clock) {
  MULTINET_TRY(netns::Home home, netns::openHome());
  const Fd& switchNetns = options.switchNetns ? *options.switchNetns : home.netns;
  const auto openBoth = [&]() -> Result<Impl::Sockets> {
    MULTINET_TRY(auto ends, openIn(switchNetns));
    MULTINET_TRY(auto parents, openIn(home.netns));
    return Impl::Sockets{std::move(ends), std::move(parents)};
  };
  MULTINET_TRY(auto attached, openBoth());
  MULTINET_TRY(auto maintained, openBoth());
  std::vector<netlink::Socket> reaped;
  MULTINET_TRY(auto reapedOwn, openIn(home.netns));
  reaped.push_back(std::move(reapedOwn));
  if (options.switchNetns) {
    MULTINET_TRY(auto reapedEnds, openIn(switchNetns));
    reaped.push_back(std::move(reapedEnds));
  }
  return std::unique_ptr<KernelAttachEngine>(new KernelAttachEngine(
      std::make_unique<Impl>(std::move(options), clock, std::move(attached), std::move(maintained),
                             std::move(reaped), std::move(home))));
}

void KernelAttachEngine::attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                                AbortFlag abort, async::Answer<std::vector<InterfaceStatus>> done) {
  impl_->attach(AttachTask{Desired{std::move(intent), std::move(plans)}, std::move(netns),
                           std::move(abort), std::move(done)});
}

void KernelAttachEngine::maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                                  AbortFlag abort, async::Answer<Upkeep> done) {
  impl_->maintain(MaintainTask{Desired{std::move(intent), std::move(plans)}, std::move(netns),
                               std::move(abort), std::move(done)});
}

void KernelAttachEngine::detach(IntentId intent, std::optional<Fd> netns,
                                async::Answer<void> done) {
  impl_->detach(
      Removal{std::nullopt, Detach{std::move(intent), std::move(netns)}, std::move(done)});
}

void KernelAttachEngine::watchWith(async::Watchdog& watchdog) const {
  impl_->watchWith(watchdog);
}

Result<std::vector<ObservedInterface>> KernelAttachEngine::observe(const std::optional<Fd>& netns) {
  return impl_->observe(netns);
}

Result<std::vector<ObservedInterface>> KernelAttachEngine::observeAll() {
  return impl_->observeAll();
}

}  // namespace multinet::agent::attach
