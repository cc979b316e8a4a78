#include "lib/netlink/socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include "lib/base/calls.h"

namespace multinet::netlink {
namespace {

// The kernel's largest dump datagram is 32 KiB (netlink_dump); acks repeat nothing
// (NETLINK_CAP_ACK).
constexpr std::size_t kBufferSize = std::size_t{64} * 1024;
// Acks of one send must fit the receive buffer together: at about 1 KiB of accounting each, 64 fit
// Debian's default of 208 KiB three times.
constexpr std::size_t kBatch = 64;
constexpr int kDumpAttempts = 16;

Status setOption(int fd, int option, std::string_view name) {
  const int on = 1;
  if (::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) == 0) return {};
  return fail(errnoError("set netlink option " + std::string(name), errno));
}

Result<Fd> openRoute(int flags) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  if (!fd.valid()) return fail(errnoError("open netlink socket", errno));
  MULTINET_CHECK(setOption(fd.get(), NETLINK_EXT_ACK, "NETLINK_EXT_ACK"));
  MULTINET_CHECK(setOption(fd.get(), NETLINK_CAP_ACK, "NETLINK_CAP_ACK"));
  MULTINET_CHECK(setOption(fd.get(), NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) != 0) {
    return fail(errnoError("bind netlink socket", errno));
  }
  return fd;
}

void growReceiveBuffer(int fd, int bytes) {
  // Without CAP_NET_ADMIN of the first user namespace the plain option grows it to rmem_max.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
  }
}

bool changes(const Message& message) {
  // rtnetlink numbers come in fours: NEW, DEL, GET, SET (kernel: rtnetlink_rcv_msg).
  return (message.type() & 3U) != 2U;
}

BootTime now() {
  return SystemClock().now();
}

}  // namespace

Error refusal(std::string_view what, const Ack& ack) {
  Error error = errnoError(what, ack.errorNumber);
  // An errno that says nothing by itself: the kernel's state doesn't allow it.
  if (error.code == Code::Internal) error.code = Code::FailedPrecondition;
  if (!ack.text.empty()) error.message += " (" + ack.text + ")";
  return error;
}

namespace {

Reply replyOf(const Frame& frame, const std::string& what) {
  if (frame.type != NLMSG_ERROR) {
    return std::vector<std::uint8_t>(frame.payload.begin(), frame.payload.end());
  }
  const Result<Ack> ack = parseAck(frame);
  if (!ack) return fail(ack.error().within(what));
  if (ack->errorNumber != 0) return fail(refusal(what, *ack));
  return {};
}

}  // namespace

Socket::Socket(Fd fd, Duration timeout)
    : fd_(std::move(fd)),
      timeout_(timeout),
      size_(kBufferSize),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(size_)) {}

Result<Socket> Socket::open(Duration timeout) {
  MULTINET_TRY(Fd fd, openRoute(0));
  growReceiveBuffer(fd.get(), 1 << 20);
  return Socket(std::move(fd), timeout);
}

Status Socket::send(const std::vector<std::uint8_t>& bytes, std::string_view what) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (true) {
    const ssize_t sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0,
                                  reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    if (sent >= 0) return fail(errnoError(std::string(what) + ": send to netlink", EMSGSIZE));
    if (errno != EINTR) return fail(errnoError(std::string(what) + ": send to netlink", errno));
  }
}

Result<std::vector<Frame>> Socket::receive(BootTime deadline, std::string_view what) {
  while (true) {
    const ssize_t size = ::recv(fd_.get(), buffer_.get(), size_, MSG_TRUNC | MSG_DONTWAIT);
    if (size >= 0) {
      if (static_cast<std::size_t>(size) > size_) {
        size_ = static_cast<std::size_t>(size) * 2;
        buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(size_);
        return fail(Code::DataLoss, "Truncated",
                    std::string(what) + ": a netlink reply of " + std::to_string(size) +
                        " bytes did not fit the buffer");
      }
      return parseFrames(Bytes(buffer_.get(), static_cast<std::size_t>(size)));
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(refusal(what, Ack{errno, "receive from netlink"}));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
    if (left <= 0) {
      return fail(Code::DeadlineExceeded, "NetlinkTimeout",
                  std::string(what) + ": the kernel did not answer in time");
    }
    pollfd wait{fd_.get(), POLLIN, 0};
    static_cast<void>(::poll(&wait, 1, static_cast<int>(left)));
  }
}

Status Socket::run(const Request& request) {
  return calls::timed("netlink", "change", [&]() -> Status {
    std::vector<Reply> replies(1);
    sendChunk({request}, 0, 1, replies);
    if (replies.front()) return {};
    return fail(std::move(replies.front()).error());
  });
}

std::vector<Status> Socket::runAll(const std::vector<Request>& requests) {
  std::vector<Status> verdicts(requests.size());
  std::vector<Reply> replies = exchange(requests);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i]) verdicts[i] = fail(std::move(replies[i]).error());
  }
  return verdicts;
}

std::vector<Reply> Socket::exchange(const std::vector<Request>& requests) {
  std::vector<Reply> replies(requests.size());
  for (std::size_t from = 0; from < requests.size(); from += kBatch) {
    // Each has a verdict of its own; that of the first that failed is the batch's.
    static_cast<void>(calls::timed("netlink", "batch", [&]() -> Status {
      const std::size_t to = std::min(from + kBatch, requests.size());
      sendChunk(requests, from, to, replies);
      for (std::size_t i = from; i < to; ++i) {
        if (!replies[i]) return fail(replies[i].error());
      }
      return {};
    }));
  }
  return replies;
}

void Socket::sendChunk(const std::vector<Request>& requests, std::size_t from, std::size_t to,
                       std::vector<Reply>& replies) {
  const auto failAll = [&](const Error& error) {
    for (std::size_t i = from; i < to; ++i) replies[i] = fail(error.within(requests[i].what));
  };
  const std::uint32_t first = sequence_ + 1;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = from; i < to; ++i) {
    if (!requests[i].message.valid()) {
      return failAll(Error{Code::InvalidArgument, "TooLong", "attribute above 64 KiB"});
    }
    Message message = requests[i].message;
    // The kernel answers in order, so the last answer tells of those before it that they were done.
    if (i + 1 < to) message.withoutAck();
    const auto encoded = message.encode(++sequence_);
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
    writes_ += changes(message) ? 1 : 0;
  }
  if (Status sent = send(bytes, "run batch"); !sent) return failAll(sent.error());

  const std::uint32_t count = sequence_ + 1 - first;
  std::vector<std::optional<Reply>> answers(count);
  const BootTime deadline = now() + timeout_;
  while (!answers.back()) {
    auto frames = receive(deadline, requests[from].what);
    if (!frames && frames.error().code != Code::DeadlineExceeded) return failAll(frames.error());
    if (!frames) break;
    for (const Frame& frame : *frames) {
      const std::uint32_t offset = frame.sequence - first;  // answers to older requests wrap high
      if (offset < count) answers[offset] = replyOf(frame, requests[from + offset].what);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (answers[i]) {
      replies[from + i] = *std::move(answers[i]);
    } else if (!answers.back()) {
      replies[from + i] = fail(Code::DeadlineExceeded, "NetlinkTimeout",
                               requests[from + i].what + ": the kernel did not answer in time");
    }
  }
}

Reply Socket::get(const Request& request) {
  return calls::timed("netlink", "get", [&]() -> Reply {
    const std::uint32_t sequence = ++sequence_;
    MULTINET_CHECK(send(request.message.encode(sequence), request.what));
    const BootTime deadline = now() + timeout_;
    while (true) {
      MULTINET_TRY(const auto frames, receive(deadline, request.what));
      for (const Frame& frame : frames) {
        if (frame.sequence == sequence) return replyOf(frame, request.what);
      }
    }
  });
}

Result<Glance> Socket::glance(const LinkRef& link) const {
  const std::string what = "look at link " + link.name;
  const auto ask = [&](unsigned long question, ifreq& query) -> Status {
    if (::ioctl(fd_.get(), question, &query) == 0) return {};
    return fail(refusal(what, Ack{errno, ""}));
  };
  ifreq query{};
  query.ifr_ifindex = link.index;
  MULTINET_CHECK(ask(SIOCGIFNAME, query));
  if (link.name != query.ifr_name) {
    return fail(Code::NotFound, "NoDevice",
                what + ": index " + std::to_string(link.index) + " is now " + query.ifr_name);
  }
  MULTINET_CHECK(ask(SIOCGIFFLAGS, query));
  Glance glance{(query.ifr_flags & IFF_UP) != 0, 0};
  MULTINET_CHECK(ask(SIOCGIFMTU, query));
  glance.mtu = static_cast<unsigned>(query.ifr_mtu);
  return glance;
}

Status Socket::dump(const Request& request, const std::function<void(const Frame&)>& each) {
  return calls::timed("netlink", "dump", [&]() -> Status {
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      // Collected first: a repeated dump must not hand over an object twice.
      std::vector<std::pair<std::uint16_t, std::vector<std::uint8_t>>> collected;
      MULTINET_TRY(const bool whole, dumpOnce(request, [&](const Frame& frame) {
                     collected.emplace_back(
                         frame.type,
                         std::vector<std::uint8_t>(frame.payload.begin(), frame.payload.end()));
                   }));
      if (!whole) continue;
      for (const auto& [type, payload] : collected) each(Frame{type, 0, 0, 0, payload});
      return {};
    }
    return fail(Code::Unavailable, "DumpInterrupted",
                request.what + ": changed under each of " + std::to_string(kDumpAttempts) +
                    " attempts to list it");
  });
}

Result<bool> Socket::dumpOnce(const Request& request,
                              const std::function<void(const Frame&)>& each) {
  const std::uint32_t sequence = ++sequence_;
  MULTINET_CHECK(send(request.message.encode(sequence), request.what));
  const BootTime deadline = now() + timeout_;
  bool whole = true;
  while (true) {
    MULTINET_TRY(const auto frames, receive(deadline, request.what));
    for (const Frame& frame : frames) {
      if (frame.sequence != sequence) continue;
      if ((frame.flags & NLM_F_DUMP_INTR) != 0) whole = false;
      if (frame.type == NLMSG_DONE) {
        // The first four bytes are the dump's own verdict (kernel 4.20 on).
        const auto verdict = readHeader<std::int32_t>(frame.payload);
        MULTINET_TRY(const int errorNumber, errnoOf(verdict.value_or(0)));
        if (errorNumber != 0) return fail(refusal(request.what, Ack{errorNumber, ""}));
        return whole;
      }
      if (frame.type == NLMSG_ERROR) {
        MULTINET_TRY(const Ack ack, parseAck(frame));
        return fail(refusal(request.what, ack));
      }
      each(frame);
    }
  }
}

EventSocket::EventSocket(Fd fd) : fd_(std::move(fd)), buffer_(kBufferSize) {}

Result<EventSocket> EventSocket::open(const std::vector<unsigned>& groups) {
  MULTINET_TRY(Fd fd, openRoute(SOCK_NONBLOCK));
  growReceiveBuffer(fd.get(), 4 << 20);
  for (const unsigned group : groups) {
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return fail(errnoError("join netlink group " + std::to_string(group), errno));
    }
  }
  return EventSocket(std::move(fd));
}

bool EventSocket::drain(const std::function<void(const Frame&)>& each) {
  bool complete = true;
  while (true) {
    const ssize_t size =
        ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC | MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {
        complete = false;
        continue;
      }
      return complete && errno == EAGAIN;
    }
    if (static_cast<std::size_t>(size) > buffer_.size()) {
      complete = false;
      continue;
    }
    const auto frames = parseFrames(Bytes(buffer_).first(static_cast<std::size_t>(size)));
    if (!frames) {
      complete = false;
      continue;
    }
    for (const Frame& frame : *frames) each(frame);
  }
}

}  // namespace multinet::netlink
