// An address and a port as the calls of sockets take them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

#include "lib/base/ip.h"

namespace multinet {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  SocketAddress(const IpAddress& address, std::uint16_t port) {
    const auto bytes = address.bytes();
    if (address.isV4()) {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      std::memcpy(&v4.sin_addr, bytes.data(), sizeof v4.sin_addr);
      take(v4);
    } else {
      sockaddr_in6 v6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      std::memcpy(&v6.sin6_addr, bytes.data(), sizeof v6.sin6_addr);
      take(v6);
    }
  }
  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }

 private:
  template <class Of>
  void take(const Of& address) {
    std::memcpy(&storage, &address, sizeof address);
    size = sizeof address;
  }
};

}  // namespace multinet
