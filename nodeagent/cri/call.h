// One call on its way through: the kubelet's stream on one side, the runtime's on the other.
//
// Every method looks like a stream of opaque messages in both directions, a unary one too. Messages
// are moved, never decoded. Rules that the code below keeps, each found the hard way:
// - Reads and writes on the runtime's side start from reactions of the kubelet's side, so each
//   direction holds the runtime's reactor until it has ended (else OnDone comes early and the next
//   read is a use after free).
// - The next message is read from the runtime only when the last one is written to the kubelet:
//   that is the flow control, and why Finish never races a write.
// - A call that is cancelled before the runtime was asked finishes at once; later the runtime's
// end,
//   which cancelling brings about, ends both sides.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <mutex>

#include "nodeagent/cri/calls.h"
#include "nodeagent/cri/interceptor.h"
#include "nodeagent/cri/server.h"

namespace multinet::agent::cri {

/// What all calls of a relay share; outlives them.
struct CallContext {
  grpc::GenericStub* stub;
  const CallObserver& called;
  Calls& calls;
};

/// Lives until both sides are done and the last decision of its interceptor is made.
class Call final : public std::enable_shared_from_this<Call> {
 public:
  /// Starts relaying. The reactor that it returns is what the generic service hands to gRPC.
  /// Without an interceptor messages pass as they are.
  static grpc::ServerGenericBidiReactor* start(grpc::GenericCallbackServerContext* context,
                                               CallContext shared,
                                               std::unique_ptr<Interceptor> interceptor);

  Call(grpc::GenericCallbackServerContext* context, CallContext shared,
       std::unique_ptr<Interceptor> interceptor);

  /// Whether it goes on until somebody ends it, as the runtime's stream of events does.
  [[nodiscard]] bool endless() const { return endless_; }
  /// Ends it with Unavailable: the kubelet asks again, and gets the agent's successor. Any thread.
  void endNow();

 private:
  /// The kubelet's side.
  class Downstream final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Downstream(Call& call) : call_(call) {}
    void OnReadDone(bool ok) override { call_.requestRead(ok); }
    void OnWriteDone(bool ok) override { call_.replyWritten(ok); }
    void OnCancel() override { call_.cancelled(); }
    void OnDone() override { call_.downstreamDone(); }

   private:
    Call& call_;
  };

  /// The runtime's side.
  class Upstream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Upstream(Call& call) : call_(call) {}
    void OnReadInitialMetadataDone(bool ok) override { call_.metadataRead(ok); }
    void OnReadDone(bool ok) override { call_.replyRead(ok); }
    void OnWriteDone(bool ok) override { call_.requestWritten(ok); }
    void OnWritesDoneDone(bool) override { call_.requestEnded(); }
    void OnDone(const grpc::Status& status) override { call_.upstreamDone(status); }

   private:
    Call& call_;
  };

  void requestRead(bool ok);
  void requestDecided(RequestDecision decision);
  void requestWritten(bool ok);
  void requestEnded();
  void metadataRead(bool ok);
  void replyRead(bool ok);
  void replyDecided(ReplyDecision decision);
  void replyWritten(bool ok);
  void cancelled();
  void upstreamDone(const grpc::Status& status);
  void downstreamDone();

  /// False where the kubelet's side has ended already.
  [[nodiscard]] bool startUpstream();
  void passReply();
  void finish(const grpc::Status& status);
  /// True for the one who may finish the kubelet's side.
  [[nodiscard]] bool claimFinish();
  /// To whoever counts: with the status that the kubelet's side ends with.
  void tell(grpc::StatusCode code) const;
  void releaseRequestHold();
  void copyTrailers();

  grpc::GenericCallbackServerContext* context_;
  CallContext shared_;
  const bool endless_;
  std::unique_ptr<Interceptor> interceptor_;
  Downstream downstream_{*this};
  Upstream upstream_{*this};
  grpc::ClientContext upstreamContext_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;

  std::mutex mutex_;  ///< guards what follows
  bool upstreamStarted_ = false;
  bool requestHold_ = false;   ///< the request direction holds the upstream reactor
  bool requestWaits_ = false;  ///< it waits for the kubelet, so may be given up
  bool replyEnded_ = false;    ///< the runtime sends no more messages
  bool metadataPassed_ = false;
  bool replyWaits_ = false;  ///< a reply was read before the initial metadata
  bool finished_ = false;
  bool ending_ = false;   ///< the agent stops
  grpc::Status refusal_;  ///< replaces the runtime's status where not OK

  std::shared_ptr<Call> downstreamSelf_;
  std::shared_ptr<Call> upstreamSelf_;
};

}  // namespace multinet::agent::cri
