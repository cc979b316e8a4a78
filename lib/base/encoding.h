// Bytes as text, and text as a number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace multinet {

/// RFC 4648, section 4, padded.
[[nodiscard]] std::string encodeBase64(std::string_view bytes);
/// The same back. InvalidArgument/InvalidBase64 where a letter is none of the alphabet or the text
/// isn't padded to a multiple of four; the message says which, never the text, which may be a key.
[[nodiscard]] Result<std::string> decodeBase64(std::string_view text);

/// FNV-1a, 64 bits: the same on every machine and in every version, so names on disk, in the kernel
/// and in the API may be made of it. No secret is safe behind it.
[[nodiscard]] std::uint64_t fnv1a(std::string_view text);

}  // namespace multinet
