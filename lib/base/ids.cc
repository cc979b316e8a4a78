#include "lib/base/ids.h"

#include <algorithm>
#include <cctype>

namespace multinet {
namespace {

constexpr std::size_t kMaxLength = 15;  // IFNAMSIZ less the closing zero

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool allowed(char c) {
  return alphanumeric(c) || c == '.' || c == '_' || c == '-';
}

tl::unexpected<Error> refuse(std::string_view text, const std::string& rule) {
  return fail(Code::InvalidArgument, "InvalidInterfaceName",
              "interface name \"" + std::string(text) + "\": " + rule);
}

}  // namespace

Result<InterfaceName> InterfaceName::parse(std::string_view text) {
  if (text.empty()) return refuse(text, "must not be empty; leave it out for net1, net2, ...");
  if (text.size() > kMaxLength) {
    return refuse(text, "has " + std::to_string(text.size()) + " bytes; at most 15 are allowed");
  }
  if (!alphanumeric(text.front()) || !std::all_of(text.begin(), text.end(), allowed)) {
    return refuse(text, "must start with a letter or digit and hold only A-Z a-z 0-9 . _ -");
  }
  if (text == "lo") return refuse(text, "is the loopback's; use net1, for example");
  if (text == "eth0") return refuse(text, "is the cluster network's; use net1, for example");
  // Directories of net.ipv4.conf: the kernel makes no device of these names.
  if (text == "all" || text == "default") {
    return refuse(text, "is a word of the kernel's for every device; use net1, for example");
  }
  return InterfaceName(std::string(text));
}

}  // namespace multinet
