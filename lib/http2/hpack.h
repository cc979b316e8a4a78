// Header blocks of HTTP/2 (HPACK, RFC 7541). Pure.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace multinet::http2 {

using Header = std::pair<std::string, std::string>;
/// In the order of the wire; names may come twice.
using Headers = std::vector<Header>;

/// The first value of that name, empty where there is none.
[[nodiscard]] std::string_view valueOf(const Headers& headers, std::string_view name);

/// Reads the blocks of one direction of one connection, all of them and in their order: each may
/// lean on those before.
class HpackDecoder {
 public:
  /// `most` bounds names and values of a block together, so that a few bytes can't ask for much.
  explicit HpackDecoder(std::size_t most) : most_(most) {}
  [[nodiscard]] Result<Headers> decode(std::string_view block);

 private:
  [[nodiscard]] Result<Header> entry(std::size_t index) const;
  [[nodiscard]] Status resize(std::size_t bytes);
  void insert(Header header);
  void evict();

  std::size_t most_;
  std::deque<Header> table_;  ///< the newest first
  std::size_t tableBytes_ = 0;
  std::size_t tableLimit_ = 4096;  ///< SETTINGS_HEADER_TABLE_SIZE unless told otherwise
};

/// Writes a block that leans on nothing before it: names of the static table by number, all else as
/// it is. On a socket within one machine the bytes saved aren't worth the work.
[[nodiscard]] std::string encodeHeaders(const Headers& headers);

/// What the first block of a connection begins with: the table that others could lean on is empty.
inline constexpr std::string_view kNoTable = "\x20";

/// RFC 7541, section 5.2 and appendix B.
[[nodiscard]] Result<std::string> decodeHuffman(std::string_view bytes);

}  // namespace multinet::http2
