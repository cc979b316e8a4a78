#include "lib/nft/elements.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "lib/netlink/codec.h"

namespace multinet::nft {
namespace {

using Key = ElementBytes::Bytes;

/// Of one message, whose list must stay below 64 KiB; a change of more is libnftables' matter.
constexpr std::size_t kMost = 256;

std::vector<std::string> partsOf(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(" . ");
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 3);
  }
}

std::optional<Key> nameKey(const std::string& text) {
  if (text.size() >= IFNAMSIZ) return std::nullopt;
  Key key(text.begin(), text.end());
  key.resize(IFNAMSIZ);
  return key;
}

std::optional<Key> macKey(const std::string& text) {
  const auto mac = MacAddress::parse(text);
  if (!mac) return std::nullopt;
  return Key(mac->bytes().begin(), mac->bytes().end());
}

std::optional<Key> addressKey(const std::string& text, bool isV4) {
  const auto address = IpAddress::parse(text);
  if (!address || address->isV4() != isV4) return std::nullopt;
  const auto bytes = address->bytes();
  return Key(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(address->byteCount()));
}

template <class Number>
std::optional<Number> readNumber(std::string_view text, int base = 10) {
  Number number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Key> portKey(const std::string& text) {
  const auto number = readNumber<std::uint16_t>(text);
  if (!number) return std::nullopt;
  return Key{static_cast<std::uint8_t>(*number >> 8U), static_cast<std::uint8_t>(*number)};
}

/// As this machine has it in memory: what the kernel itself counts has no other order.
template <class Number>
std::optional<Key> hostKey(std::optional<Number> number) {
  if (!number) return std::nullopt;
  Key key(sizeof(Number));
  std::memcpy(key.data(), &*number, sizeof(Number));
  return key;
}

/// `a:1f`, both halves as hexadecimal numbers.
std::optional<Key> classidKey(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto high = readNumber<std::uint16_t>(text.substr(0, colon), 16);
  const auto low = readNumber<std::uint16_t>(text.substr(colon + 1), 16);
  if (!high || !low) return std::nullopt;
  constexpr unsigned kHalf = 16;
  return hostKey(std::optional((std::uint32_t{*high} << kHalf) | *low));
}

/// `0x...`, sixteen bytes of a frame.
std::optional<Key> bytesKey(std::string_view text) {
  constexpr std::size_t kSize = 16;
  if (!text.starts_with("0x") || text.size() > 2 + 2 * kSize) return std::nullopt;
  const std::string digits =
      std::string(2 + 2 * kSize - text.size(), '0') + std::string(text.substr(2));
  Key key(kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    const char* at = digits.data() + 2 * i;
    const auto read = std::from_chars(at, at + 2, key[i], 16);
    if (read.ec != std::errc() || read.ptr != at + 2) return std::nullopt;
  }
  return key;
}

std::optional<Key> partKey(const std::string& type, const std::string& text) {
  if (type == "ifname" || type == "iifname" || type == "oifname") return nameKey(text);
  if (type == "meta ibrname" || type == "meta obrname") return nameKey(text);
  if (type == "mark") return hostKey(readNumber<std::uint32_t>(text));
  if (type == "classid") return classidKey(text);
  if (type == "ct zone") return hostKey(readNumber<std::uint16_t>(text));
  if (type == "inet_proto") return hostKey(readNumber<std::uint8_t>(text));
  if (type == "ether_addr" || type == "ether saddr") return macKey(text);
  if (type == "ipv4_addr") return addressKey(text, true);
  if (type == "ipv6_addr") return addressKey(text, false);
  if (type == "inet_service") return portKey(text);
  if (type == "@th,64,128") return bytesKey(text);
  return std::nullopt;
}

using Ends = std::pair<Key, Key>;

std::optional<Ends> endsOf(const std::string& type, const std::string& first,
                           const std::string& last) {
  auto begin = partKey(type, first);
  auto end = partKey(type, last);
  if (!begin || !end) return std::nullopt;
  return Ends{std::move(*begin), std::move(*end)};
}

/// Of an address, a port, or a range of either, or a number that a machine has in its own order,
/// which libnftables has rules and elements turn round where a set has intervals.
std::optional<Ends> intervalOf(const std::string& type, const std::string& text) {
  const bool isAddress = type == "ipv4_addr" || type == "ipv6_addr";
  if (type == "mark" || type == "classid") {
    auto ends = endsOf(type, text, text);
    if (!ends || std::endian::native == std::endian::big) return ends;
    std::ranges::reverse(ends->first);
    std::ranges::reverse(ends->second);
    return ends;
  }
  if (!isAddress && type != "inet_service" && type != "inet_proto") return std::nullopt;
  if (isAddress && text.find('/') != std::string::npos) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) return std::nullopt;
    return endsOf(type, prefix->first().str(), prefix->last().str());
  }
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return endsOf(type, text, text);
  return endsOf(type, text.substr(0, dash), text.substr(dash + 1));
}

void append(const Key& part, bool isPadded, Key& key) {
  key.insert(key.end(), part.begin(), part.end());
  if (isPadded) key.resize((key.size() + 3) / 4 * 4);
}

void putBytes(netlink::Message& element, std::uint16_t attribute, const Key& bytes) {
  element.nest(attribute,
               [&](netlink::Message& data) { data.put(NFTA_DATA_VALUE, netlink::Bytes(bytes)); });
}

const std::set<std::string>& of(const Elements& elements, const Set& set) {
  static const std::set<std::string> none;
  const auto found = elements.find(set.name);
  return found == elements.end() ? none : found->second;
}

}  // namespace

std::optional<ElementBytes> bytesOf(const Set& set, const std::string& element) {
  ElementBytes out;
  std::string_view key = element;
  if (!set.value.empty()) {
    const std::size_t colon = key.rfind(" : ");
    if (colon == std::string_view::npos) return std::nullopt;
    auto value = partKey(set.value, std::string(key.substr(colon + 3)));
    if (!value) return std::nullopt;
    out.value = std::move(*value);
    key = key.substr(0, colon);
  }
  constexpr std::string_view kTypeof = "typeof ";
  const std::string_view type = set.type;
  const auto types = partsOf(type.starts_with(kTypeof) ? type.substr(kTypeof.size()) : type);
  const auto texts = partsOf(key);
  const bool isConcatenation = types.size() > 1;
  if (types.size() != texts.size() || (set.intervals && !isConcatenation)) return std::nullopt;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!set.intervals) {
      const auto part = partKey(types[i], texts[i]);
      if (!part) return std::nullopt;
      append(*part, isConcatenation, out.key);
      continue;
    }
    const auto ends = intervalOf(types[i], texts[i]);
    if (!ends) return std::nullopt;
    append(ends->first, isConcatenation, out.key);
    append(ends->second, isConcatenation, out.keyEnd);
  }
  return out;
}

bool putElements(ElementsOf what, const std::set<std::string>& elements, Batch& batch) {
  bool isKnown = true;
  for (auto next = elements.begin(); next != elements.end() && isKnown;) {
    netlink::Message message = nftMessage(
        what.type, what.type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, familyOf(what.table.family));
    message.put(NFTA_SET_ELEM_LIST_TABLE, what.table.name);
    message.put(NFTA_SET_ELEM_LIST_SET, what.set.name);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](netlink::Message& list) {
      for (std::size_t count = 0; count < kMost && next != elements.end(); ++count, ++next) {
        const auto bytes = bytesOf(what.set, *next);
        isKnown = bytes.has_value();
        if (!isKnown) return;
        list.nest(NFTA_LIST_ELEM, [&](netlink::Message& one) {
          putBytes(one, NFTA_SET_ELEM_KEY, bytes->key);
          if (!bytes->keyEnd.empty()) putBytes(one, NFTA_SET_ELEM_KEY_END, bytes->keyEnd);
          if (!bytes->value.empty()) putBytes(one, NFTA_SET_ELEM_DATA, bytes->value);
        });
      }
    });
    batch.put(message);
  }
  return isKnown;
}

bool canWrite(const Tables& tables, const Elements& gone, const Elements& added) {
  std::size_t count = 0;
  for (const Table* table : tables) {
    for (const Set& set : table->sets) {
      for (const Elements* elements : {&gone, &added}) {
        for (const std::string& element : of(*elements, set)) {
          if (++count > kMost || !bytesOf(set, element)) return false;
        }
      }
    }
  }
  return count > 0;
}

Batch changeOf(const Tables& tables, const Elements& gone, const Elements& added) {
  Batch batch;
  for (const Table* table : tables) {
    for (const Set& set : table->sets) {
      // canWrite() knew them.
      static_cast<void>(putElements({NFT_MSG_DELSETELEM, *table, set}, of(gone, set), batch));
      static_cast<void>(putElements({NFT_MSG_NEWSETELEM, *table, set}, of(added, set), batch));
    }
  }
  return batch;
}

}  // namespace multinet::nft
