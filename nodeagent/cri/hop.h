// What gRPC itself writes on each connection, and so must not be handed on from one to the next.
// All other metadata passes both ways, W3C trace context too (traceparent, tracestate, baggage).
#pragma once

#include <string_view>

namespace multinet::agent::cri {

/// True for the keys that gRPC's HTTP/2 mapping reserves (PROTOCOL-HTTP2.md: all of `grpc-`, which
/// deadline and status carry over) and for what HTTP/2 forbids or makes of the connection.
[[nodiscard]] bool belongsToTheHop(std::string_view key);

/// True for what HTTP/2 forbids in headers (RFC 9113, section 8.2.2): it is of one connection.
[[nodiscard]] bool ofTheConnection(std::string_view key);

}  // namespace multinet::agent::cri
