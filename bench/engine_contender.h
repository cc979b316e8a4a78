// The agent's attach engine, through its door: queue, look, plan, apply, read back.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/attach_contenders.h"
#include "nodeagent/attach/kernel_attach_engine.h"

namespace multinet::bench {

/// Attaches all of `plans` at once into `pod`, as `intent`.
class EngineContender final : public Contender {
 public:
  EngineContender(std::string name, std::string intent,
                  std::shared_ptr<agent::attach::KernelAttachEngine> engine, Fd pod,
                  std::vector<agent::InterfacePlan> plans)
      : name_(std::move(name)),
        intent_(std::move(intent)),
        engine_(std::move(engine)),
        pod_(std::move(pod)),
        plans_(std::move(plans)) {}
  [[nodiscard]] std::string name() const override { return name_; }

  /// Until the engine answers: whoever is answered goes on there, on the engine's thread.
  Result<Steady::time_point> attach() override {
    MULTINET_TRY(Fd netns, pod_.duplicate());
    std::promise<Result<Steady::time_point>> answer;
    auto future = answer.get_future();
    engine_->attach(intent_, std::move(netns), plans_, nullptr, [&](auto result) {
      if (!result) return answer.set_value(fail(result.error()));
      answer.set_value(Steady::now());
    });
    return future.get();
  }
  Status detach() override {
    MULTINET_TRY(Fd netns, pod_.duplicate());
    std::promise<Status> answer;
    auto future = answer.get_future();
    engine_->detach(intent_, std::move(netns),
                    [&](Status status) { answer.set_value(std::move(status)); });
    return future.get();
  }

 private:
  const std::string name_;
  const IntentId intent_;
  std::shared_ptr<agent::attach::KernelAttachEngine> engine_;
  Fd pod_;
  std::vector<agent::InterfacePlan> plans_;
};

}  // namespace multinet::bench
