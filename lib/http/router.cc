#include "lib/http/router.h"

#include <utility>

namespace multinet::http {

void Router::add(std::string method, std::string path, Handler handler) {
  routes_[std::move(path)] = Route{std::move(method), std::move(handler)};
}

Response Router::operator()(const Request& request) const {
  const auto found = routes_.find(request.path);
  if (found == routes_.end()) {
    return {404, "text/plain; charset=utf-8", "no such path: " + request.path + "\n"};
  }
  const Route& route = found->second;
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  if (method != route.method) {
    return {405, "text/plain; charset=utf-8", request.path + " takes " + route.method + "\n"};
  }
  return route.handler(request);
}

}  // namespace multinet::http
