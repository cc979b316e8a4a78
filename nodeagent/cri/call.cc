#include "nodeagent/cri/call.h"

#include <string>
#include <string_view>
#include <utility>

#include "nodeagent/cri/hop.h"

namespace multinet::agent::cri {

grpc::ServerGenericBidiReactor* Call::start(grpc::GenericCallbackServerContext* context,
                                            CallContext shared,
                                            std::unique_ptr<Interceptor> interceptor) {
  auto call = std::make_shared<Call>(context, shared, std::move(interceptor));
  call->downstreamSelf_ = call;
  shared.calls.began(*call);
  if (call->interceptor_ == nullptr) static_cast<void>(call->startUpstream());
  call->downstream_.StartRead(&call->request_);
  return &call->downstream_;
}

Call::Call(grpc::GenericCallbackServerContext* context, CallContext shared,
           std::unique_ptr<Interceptor> interceptor)
    : context_(context),
      shared_(shared),
      endless_(context->method().ends_with("/GetContainerEvents")),
      interceptor_(std::move(interceptor)) {}

bool Call::startUpstream() {
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return false;
    upstreamStarted_ = true;
    requestHold_ = true;
    requestWaits_ = interceptor_ == nullptr;
    upstreamSelf_ = shared_from_this();
  }
  for (const auto& [key, value] : context_->client_metadata()) {
    const std::string_view name(key.data(), key.size());
    if (belongsToTheHop(name)) continue;
    upstreamContext_.AddMetadata(std::string(name), std::string(value.data(), value.size()));
  }
  upstreamContext_.set_deadline(context_->deadline());
  shared_.stub->PrepareBidiStreamingCall(&upstreamContext_, context_->method(), {}, &upstream_);
  upstream_.AddMultipleHolds(2);
  upstream_.StartRead(&reply_);
  upstream_.StartCall();
  return true;
}

void Call::requestRead(bool ok) {
  bool hold = false;
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    if (!upstreamStarted_ && !ok) {
      // Ended without a request: an interceptor has nothing to say, the runtime judges.
    } else if (upstreamStarted_) {
      if (!requestHold_) return;
      hold = true;
      requestWaits_ = false;
    }
  }
  if (ok && !hold) {
    interceptor_->request(std::move(request_), [call = shared_from_this()](RequestDecision d) {
      call->requestDecided(std::move(d));
    });
    return;
  }
  if (ok) {
    upstream_.StartWrite(&request_);
    return;
  }
  if (!hold && !startUpstream()) return;
  upstream_.StartWritesDone();
}

void Call::requestDecided(RequestDecision decision) {
  if (auto* forward = std::get_if<Forward>(&decision)) {
    {
      const std::lock_guard lock(mutex_);
      if (finished_) return;
      request_ = std::move(forward->message);
    }
    if (!startUpstream()) return;
    // A unary call has one request: whatever would follow is not read, so it can't pass unseen.
    upstream_.StartWriteLast(&request_, grpc::WriteOptions());
  } else if (auto* refuse = std::get_if<Refuse>(&decision)) {
    finish(refuse->status);
  } else if (claimFinish()) {
    tell(grpc::StatusCode::OK);
    reply_ = std::move(std::get<Answer>(decision).message);
    downstream_.StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
  }
}

void Call::requestWritten(bool ok) {
  if (!ok || interceptor_ != nullptr) {
    releaseRequestHold();
    return;
  }
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    ended = replyEnded_;
    requestWaits_ = !ended;
  }
  if (ended) {
    releaseRequestHold();
  } else {
    downstream_.StartRead(&request_);
  }
}

void Call::requestEnded() {
  releaseRequestHold();
}

void Call::releaseRequestHold() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(requestHold_, false)) return;
  }
  upstream_.RemoveHold();
}

void Call::metadataRead(bool ok) {
  if (ok) {
    for (const auto& [key, value] : upstreamContext_.GetServerInitialMetadata()) {
      const std::string_view name(key.data(), key.size());
      if (belongsToTheHop(name)) continue;
      context_->AddInitialMetadata(std::string(name), std::string(value.data(), value.size()));
    }
  }
  bool waits = false;
  {
    const std::lock_guard lock(mutex_);
    metadataPassed_ = true;
    waits = std::exchange(replyWaits_, false);
    if (finished_) return;
  }
  if (waits) passReply();
}

void Call::replyRead(bool ok) {
  if (!ok) {
    bool release = false;
    {
      const std::lock_guard lock(mutex_);
      replyEnded_ = true;
      release = std::exchange(requestWaits_, false);
    }
    if (release) releaseRequestHold();
    upstream_.RemoveHold();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!metadataPassed_) {
      replyWaits_ = true;
      return;
    }
  }
  passReply();
}

void Call::passReply() {
  if (interceptor_ == nullptr) {
    downstream_.StartWrite(&reply_);
    return;
  }
  interceptor_->reply(std::move(reply_), [call = shared_from_this()](ReplyDecision d) {
    call->replyDecided(std::move(d));
  });
}

void Call::replyDecided(ReplyDecision decision) {
  if (auto* refuse = std::get_if<Refuse>(&decision)) {
    {
      const std::lock_guard lock(mutex_);
      refusal_ = std::move(refuse->status);
    }
    upstream_.StartRead(&reply_);  // to its end: the status comes after it
    return;
  }
  if (std::holds_alternative<Skip>(decision)) return upstream_.StartRead(&reply_);
  reply_ = std::move(std::get<Forward>(decision).message);
  downstream_.StartWrite(&reply_);
}

void Call::replyWritten(bool ok) {
  if (!ok) upstreamContext_.TryCancel();
  upstream_.StartRead(&reply_);
}

void Call::cancelled() {
  if (interceptor_ != nullptr) interceptor_->cancelled();
  {
    const std::lock_guard lock(mutex_);
    if (!upstreamStarted_ && std::exchange(finished_, true)) return;
  }
  if (upstreamStarted_) {
    upstreamContext_.TryCancel();  // its end ends the kubelet's side too
    return;
  }
  tell(grpc::StatusCode::CANCELLED);
  downstream_.Finish(grpc::Status(grpc::StatusCode::CANCELLED, "relay call: the caller went away"));
}

void Call::endNow() {
  {
    const std::lock_guard lock(mutex_);
    if (finished_ || !upstreamStarted_) return;
    ending_ = true;
  }
  if (interceptor_ != nullptr) interceptor_->cancelled();
  upstreamContext_.TryCancel();
}

void Call::upstreamDone(const grpc::Status& status) {
  copyTrailers();
  grpc::Status result = status;
  {
    const std::lock_guard lock(mutex_);
    if (status.ok() && !refusal_.ok()) result = refusal_;
    if (ending_) result = {grpc::StatusCode::UNAVAILABLE, "relay stream: the agent is stopping"};
  }
  finish(result);
  const auto self = std::move(upstreamSelf_);
}

void Call::copyTrailers() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  for (const auto& [key, value] : upstreamContext_.GetServerTrailingMetadata()) {
    const std::string_view name(key.data(), key.size());
    // Includes grpc-status-details-bin, which Finish writes from the status.
    if (belongsToTheHop(name)) continue;
    context_->AddTrailingMetadata(std::string(name), std::string(value.data(), value.size()));
  }
}

bool Call::claimFinish() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(finished_, true);
}

void Call::finish(const grpc::Status& status) {
  if (!claimFinish()) return;
  tell(status.error_code());
  downstream_.Finish(status);
}

void Call::tell(grpc::StatusCode code) const {
  if (shared_.called) shared_.called(context_->method(), code);
}

void Call::downstreamDone() {
  shared_.calls.ended(*this);
  const auto self = std::move(downstreamSelf_);
}

}  // namespace multinet::agent::cri
