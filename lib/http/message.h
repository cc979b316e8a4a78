// One request and its answer, free of any HTTP library's types.
#pragma once

#include <functional>
#include <string>

namespace multinet::http {

struct Request {
  std::string method;  ///< upper case, for example `POST`
  std::string path;    ///< without the query, not percent-decoded
  std::string query;   ///< behind the `?`, empty where there is none
  std::string contentType;
  std::string body;
};

struct Response {
  unsigned status = 200;
  std::string contentType = "text/plain; charset=utf-8";
  std::string body;
};

/// Takes the answer to one request, on any thread. The first call counts; who lets all copies go
/// without one closes the connection.
using Reply = std::function<void(Response)>;

/// Answers one request, now or later; never blocks, since it is called on an I/O thread. An
/// exception is answered with 500 and goes no further. What keeps a Reply is gone before the server
/// is.
using AsyncHandler = std::function<void(const Request&, Reply)>;

/// Answers one request at once. Called on an I/O thread, from several at once; must not block for
/// long. An exception is answered with 500 and goes no further.
using Handler = std::function<Response(const Request&)>;

}  // namespace multinet::http
