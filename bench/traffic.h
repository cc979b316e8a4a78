// What two pods send each other, timed: an amount of TCP, and a number of round trips of UDP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/fd.h"

namespace multinet::bench {

/// Sockets of two pods that are connected with each other. One thread at a time; each call starts a
/// second one for the far end and joins it.
class Conversation {
 public:
  /// `to` has `address`. Fails where no connection comes about within seconds.
  [[nodiscard]] static Result<Conversation> open(const Fd& from, const Fd& to,
                                                 const std::string& address, std::uint16_t port);

  /// Milliseconds until the far end has read all of it. The ends have a processor each.
  [[nodiscard]] Result<double> send(std::size_t bytes);
  /// Milliseconds of `count` packets of a byte and their answers, one after the other. Both ends
  /// share a processor: waking another one would cost more than the way between them.
  [[nodiscard]] Result<double> roundTrips(int count);

 private:
  struct Ends {
    Fd near;
    Fd far;
  };
  [[nodiscard]] static Result<Ends> connectStream(const Fd& from, const Fd& to,
                                                  const std::string& address, std::uint16_t port);
  [[nodiscard]] static Result<Ends> connectPackets(const Fd& from, const Fd& to,
                                                   const std::string& address, std::uint16_t port);
  Conversation(Ends stream, Ends packets)
      : stream_(std::move(stream)), packets_(std::move(packets)) {}
  Ends stream_;
  Ends packets_;
};

}  // namespace multinet::bench
