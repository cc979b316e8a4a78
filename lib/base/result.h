// A value or the reason why there is none. No exception crosses a room.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "lib/base/error.h"

namespace multinet {

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// `return fail(Code::NotFound, "NetworkNotFound", "find network \"blue\": it does not exist");`
[[nodiscard]] inline tl::unexpected<Error> fail(Code code, std::string reason,
                                                std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(reason), std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace multinet

#define MULTINET_CONCAT_INNER(a, b) a##b
#define MULTINET_CONCAT(a, b) MULTINET_CONCAT_INNER(a, b)

/// `MULTINET_TRY(auto link, links.find(name));` declares `link`, or returns the error.
#define MULTINET_TRY(declaration, expression) \
  MULTINET_TRY_INNER(MULTINET_CONCAT(multinetTry, __LINE__), declaration, expression)
#define MULTINET_TRY_INNER(temporary, declaration, expression)                       \
  auto temporary = (expression);                                                     \
  if (!temporary.has_value()) return ::multinet::fail(std::move(temporary).error()); \
  declaration = std::move(*temporary)

/// `MULTINET_CHECK(link.up());` returns the error of a Status, or goes on.
#define MULTINET_CHECK(expression)                                                               \
  do {                                                                                           \
    auto multinetStatus = (expression);                                                          \
    if (!multinetStatus.has_value()) return ::multinet::fail(std::move(multinetStatus).error()); \
  } while (false)
