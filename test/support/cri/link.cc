#include "test/support/cri/link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace multinet::support {
namespace {

using namespace std::chrono_literals;

constexpr auto kRound = 20ms;

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// False at the end of `from`, or where `to` takes no more.
bool pass(int from, int to) {
  std::array<char, 65536> bytes{};
  const ssize_t got = read(from, bytes.data(), bytes.size());
  if (got <= 0) return false;
  for (ssize_t done = 0; done < got;) {
    const ssize_t put =
        send(to, bytes.data() + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
    if (put <= 0) return false;
    done += put;
  }
  return true;
}

}  // namespace

Link::Link(const std::string& path, std::string to, std::chrono::milliseconds delay)
    : to_(std::move(to)),
      delay_(delay),
      listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  const auto address = addressOf(path);
  if (bind(listener_.get(), generic(address), sizeof(address)) == 0) listen(listener_.get(), 64);
  thread_ = std::thread([this] { run(); });
}

Link::~Link() {
  ends_ = true;
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Link::thaw() {
  frozen_ = false;
  eventfd_write(wake_.get(), 1);
}

void Link::run() {
  while (!ends_) carry(kRound);
}

void Link::carry(std::chrono::milliseconds limit) {
  std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}};
  const auto now = Clock::now();
  if (!frozen_) {
    polled.push_back({listener_.get(), POLLIN, 0});
    for (const Pair& pair : pairs_) {
      polled.push_back({pair.client.get(), POLLIN, 0});
      polled.push_back(
          {pair.server.get(), static_cast<short>(now >= pair.opensAt ? POLLIN : 0), 0});
    }
  }
  if (poll(polled.data(), polled.size(), static_cast<int>(limit.count())) <= 0) return;
  eventfd_t ignored = 0;
  if (polled[0].revents != 0) eventfd_read(wake_.get(), &ignored);
  if (polled.size() == 1) return;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    Pair& pair = pairs_[i];
    const auto& [client, server] = std::pair(polled[2 + 2 * i], polled[3 + 2 * i]);
    const bool open = (client.revents == 0 || pass(pair.client.get(), pair.server.get())) &&
                      (server.revents == 0 || ((server.revents & POLLIN) != 0 &&
                                               pass(pair.server.get(), pair.client.get())));
    if (!open) pair.client.reset();
  }
  std::erase_if(pairs_, [](const Pair& pair) { return !pair.client.valid(); });
  if (polled[1].revents != 0) accept();
}

void Link::accept() {
  Pair pair{Fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)),
            Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), Clock::now() + delay_};
  const auto address = addressOf(to_);
  if (connect(pair.server.get(), generic(address), sizeof(address)) != 0) return;
  if (pair.client.valid()) pairs_.push_back(std::move(pair));
}

}  // namespace multinet::support
