#include "lib/kube/socket.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/error.hpp>
#include <string>
#include <thread>
#include <tuple>

namespace multinet::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Tcp = boost::asio::ip::tcp;

/// Listens on the loopback, and holds what it has accepted.
class Listener {
 public:
  explicit Listener(int backlog = 8) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    Tcp::endpoint any(boost::asio::ip::make_address("127.0.0.1"), 0);
    EXPECT_EQ(::bind(fd_.get(), any.data(), static_cast<socklen_t>(any.size())), 0);
    EXPECT_EQ(::listen(fd_.get(), backlog), 0);
  }
  [[nodiscard]] Socket::Endpoints endpoints() const {
    Tcp::endpoint here;
    auto size = static_cast<socklen_t>(here.capacity());
    EXPECT_EQ(::getsockname(fd_.get(), here.data(), &size), 0);
    here.resize(size);
    return {here};
  }
  [[nodiscard]] Fd accept() const {
    return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  Fd fd_;
};

Socket::Time in(Duration time) {
  return std::chrono::steady_clock::now() + time;
}

void say(const Fd& fd, std::string_view text) {
  EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

std::string heard(Socket& socket, Socket::ErrorCode& error) {
  std::array<char, 64> text{};
  return {text.data(), socket.read_some(boost::asio::buffer(text), error)};
}

class SocketTest : public ::testing::Test {
 protected:
  void connect() {
    socket_.limit(in(seconds(10)));
    ASSERT_FALSE(socket_.connect(listener_.endpoints()));
    other_ = listener_.accept();
    ASSERT_TRUE(other_.valid());
  }
  Listener listener_;
  Socket socket_;
  Fd other_;
};

TEST_F(SocketTest, SendsAndReadsUntilTheOtherEndEnds) {
  connect();
  ASSERT_FALSE(socket_.write("hello"));
  std::array<char, 5> text{};
  ASSERT_EQ(::recv(other_.get(), text.data(), text.size(), MSG_WAITALL), 5);
  EXPECT_TRUE(socket_.silent());
  say(other_, "abc");
  other_.reset();
  Socket::ErrorCode error;
  EXPECT_EQ(heard(socket_, error), "abc");
  EXPECT_FALSE(error);
  EXPECT_FALSE(socket_.silent()) << "its end was heard";
  EXPECT_EQ(heard(socket_, error), "");
  EXPECT_EQ(error, boost::asio::error::eof);
}

TEST_F(SocketTest, WaitsNoLongerThanItMay) {
  connect();
  Socket::ErrorCode error;
  socket_.limit(in(milliseconds(20)));
  EXPECT_EQ(heard(socket_, error), "");
  EXPECT_EQ(error, boost::asio::error::timed_out);
}

TEST_F(SocketTest, EndsWhileItReads) {
  connect();
  const std::jthread ender([this] { socket_.end(); });
  Socket::ErrorCode error;
  EXPECT_EQ(heard(socket_, error), "");
  EXPECT_EQ(error, boost::asio::error::eof);
}

TEST_F(SocketTest, EndsBeforeItConnects) {
  socket_.end();
  socket_.limit(in(seconds(10)));
  EXPECT_EQ(socket_.connect(listener_.endpoints()), boost::asio::error::operation_aborted);
}

TEST(Socket, EndsWhileItConnects) {
  // Who isn't accepted and finds no room either gets no answer.
  const Listener full(0);
  Socket first;
  first.limit(in(seconds(10)));
  ASSERT_FALSE(first.connect(full.endpoints()));
  Socket waiting;
  waiting.limit(in(milliseconds(20)));
  ASSERT_EQ(waiting.connect(full.endpoints()), boost::asio::error::timed_out);
  Socket ended;
  ended.limit(in(seconds(60)));
  std::jthread ender([&] {
    std::this_thread::sleep_for(milliseconds(20));  // either side of connect(2) will do
    ended.end();
  });
  const auto begin = std::chrono::steady_clock::now();
  std::ignore = ended.connect(full.endpoints());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
  EXPECT_TRUE(ended.write("x"));
}

TEST_F(SocketTest, ReadsAtOnceWhatComesInCloseOrder) {
  connect();
  socket_.gather(milliseconds(200));
  constexpr std::size_t kEvents = 40;
  const std::jthread server([this] {
    for (std::size_t i = 0; i < kEvents; ++i) {
      say(other_, "x");
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  std::size_t bytes = 0;
  std::size_t reads = 0;
  for (Socket::ErrorCode error; bytes < kEvents && !error; ++reads) {
    bytes += heard(socket_, error).size();
  }
  EXPECT_EQ(bytes, kEvents);
  EXPECT_LT(reads, kEvents / 2);
}

}  // namespace
}  // namespace multinet::kube
