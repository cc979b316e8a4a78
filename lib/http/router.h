// Which handler answers which path.
#pragma once

#include <map>
#include <string>

#include "lib/http/message.h"

namespace multinet::http {

/// Exact paths only. Filled before the server starts, then only read. An unknown path is answered
/// 404, a known one with another method 405; never a redirect.
class Router {
 public:
  /// `method` is `GET` (serves `HEAD` too) or `POST`.
  void add(std::string method, std::string path, Handler handler);
  [[nodiscard]] Response operator()(const Request& request) const;

 private:
  struct Route {
    std::string method;
    Handler handler;
  };
  std::map<std::string, Route> routes_;
};

}  // namespace multinet::http
