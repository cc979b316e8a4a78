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

enum class ElementFormat::Part : std::uint8_t {
  Unknown,
  Name,
  Mark,
  Classid,
  Zone,
  Protocol,
  Mac,
  V4,
  V6,
  Port,
  Bytes
};

namespace {

using Part = ElementFormat::Part;

using Key = ElementBytes::Bytes;

/// Of one message, whose list must stay below 64 KiB; a change of more is libnftables' matter.
constexpr std::size_t kMost = 256;

/// By the names that nft has for them.
Part partOf(std::string_view type) {
  struct Named {
    std::string_view name;
    Part part;
  };
  static constexpr std::array<Named, 15> kNamed{{{"ifname", Part::Name},
                                                 {"iifname", Part::Name},
                                                 {"oifname", Part::Name},
                                                 {"meta ibrname", Part::Name},
                                                 {"meta obrname", Part::Name},
                                                 {"mark", Part::Mark},
                                                 {"classid", Part::Classid},
                                                 {"ct zone", Part::Zone},
                                                 {"inet_proto", Part::Protocol},
                                                 {"ether_addr", Part::Mac},
                                                 {"ether saddr", Part::Mac},
                                                 {"ipv4_addr", Part::V4},
                                                 {"ipv6_addr", Part::V6},
                                                 {"inet_service", Part::Port},
                                                 {"@th,64,128", Part::Bytes}}};
  const auto* const found = std::ranges::find(kNamed, type, &Named::name);
  return found == kNamed.end() ? Part::Unknown : found->part;
}

/// Calls with each part of a concatenation; false where a call says so.
template <class Each>
bool eachPart(std::string_view text, Each each) {
  constexpr std::string_view kBetween = " . ";
  for (;;) {
    const std::size_t end = text.find(kBetween);
    if (!each(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + kBetween.size());
  }
}

std::optional<Key> nameKey(std::string_view text) {
  if (text.size() >= IFNAMSIZ) return std::nullopt;
  Key key(text.begin(), text.end());
  key.resize(IFNAMSIZ);
  return key;
}

std::optional<Key> macKey(std::string_view text) {
  const auto mac = MacAddress::parse(text);
  if (!mac) return std::nullopt;
  return Key(mac->bytes().begin(), mac->bytes().end());
}

std::optional<Key> addressKey(std::string_view text, bool isV4) {
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

std::optional<Key> portKey(std::string_view text) {
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

std::optional<Key> partKey(Part part, std::string_view text) {
  switch (part) {
    case Part::Name:
      return nameKey(text);
    case Part::Mark:
      return hostKey(readNumber<std::uint32_t>(text));
    case Part::Classid:
      return classidKey(text);
    case Part::Zone:
      return hostKey(readNumber<std::uint16_t>(text));
    case Part::Protocol:
      return hostKey(readNumber<std::uint8_t>(text));
    case Part::Mac:
      return macKey(text);
    case Part::V4:
      return addressKey(text, true);
    case Part::V6:
      return addressKey(text, false);
    case Part::Port:
      return portKey(text);
    case Part::Bytes:
      return bytesKey(text);
    case Part::Unknown:
      return std::nullopt;
  }
  return std::nullopt;
}

using Ends = std::pair<Key, Key>;

std::optional<Ends> endsOf(Part part, std::string_view first, std::string_view last) {
  auto begin = partKey(part, first);
  auto end = partKey(part, last);
  if (!begin || !end) return std::nullopt;
  return Ends{std::move(*begin), std::move(*end)};
}

/// Of an address, a port, or a range of either, or a number that a machine has in its own order,
/// which libnftables has rules and elements turn round where a set has intervals.
std::optional<Ends> intervalOf(Part part, std::string_view text) {
  const bool isAddress = part == Part::V4 || part == Part::V6;
  if (part == Part::Mark || part == Part::Classid) {
    auto ends = endsOf(part, text, text);
    if (!ends || std::endian::native == std::endian::big) return ends;
    std::ranges::reverse(ends->first);
    std::ranges::reverse(ends->second);
    return ends;
  }
  if (!isAddress && part != Part::Port && part != Part::Protocol) return std::nullopt;
  if (isAddress && text.find('/') != std::string_view::npos) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) return std::nullopt;
    return endsOf(part, prefix->first().str(), prefix->last().str());
  }
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return endsOf(part, text, text);
  return endsOf(part, text.substr(0, dash), text.substr(dash + 1));
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

ElementFormat::ElementFormat(const Set& set)
    : hasIntervals_(set.intervals),
      value_(set.value.empty() ? std::nullopt : std::optional(partOf(set.value))) {
  constexpr std::string_view kTypeof = "typeof ";
  std::string_view type = set.type;
  if (type.starts_with(kTypeof)) type.remove_prefix(kTypeof.size());
  eachPart(type, [this](std::string_view one) {
    parts_.push_back(partOf(one));
    return true;
  });
}

std::optional<ElementBytes> ElementFormat::bytesOf(std::string_view element) const {
  ElementBytes out;
  const bool isConcatenation = parts_.size() > 1;
  if (hasIntervals_ && !isConcatenation) return std::nullopt;
  if (value_) {
    constexpr std::string_view kGives = " : ";
    const std::size_t colon = element.rfind(kGives);
    if (colon == std::string_view::npos) return std::nullopt;
    auto value = partKey(*value_, element.substr(colon + kGives.size()));
    if (!value) return std::nullopt;
    out.value = std::move(*value);
    element = element.substr(0, colon);
  }
  const auto put = [&](Part part, std::string_view text) {
    if (!hasIntervals_) {
      const auto bytes = partKey(part, text);
      if (bytes) append(*bytes, isConcatenation, out.key);
      return bytes.has_value();
    }
    const auto ends = intervalOf(part, text);
    if (!ends) return false;
    append(ends->first, isConcatenation, out.key);
    append(ends->second, isConcatenation, out.keyEnd);
    return true;
  };
  std::size_t next = 0;
  const bool isKnown = eachPart(element, [&](std::string_view text) {
    if (next == parts_.size()) return false;
    const Part part = parts_[next];
    ++next;
    return put(part, text);
  });
  if (!isKnown || next != parts_.size()) return std::nullopt;
  return out;
}

bool putElements(ElementsOf what, const std::set<std::string>& elements, Batch& batch) {
  const ElementFormat format(what.set);
  bool isKnown = true;
  for (auto next = elements.begin(); next != elements.end() && isKnown;) {
    netlink::Message message = nftMessage(
        what.type, what.type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, familyOf(what.table.family));
    message.put(NFTA_SET_ELEM_LIST_TABLE, what.table.name);
    message.put(NFTA_SET_ELEM_LIST_SET, what.set.name);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](netlink::Message& list) {
      for (std::size_t count = 0; count < kMost && next != elements.end(); ++count, ++next) {
        const auto bytes = format.bytesOf(*next);
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
      const ElementFormat format(set);
      for (const Elements* elements : {&gone, &added}) {
        for (const std::string& element : of(*elements, set)) {
          if (++count > kMost || !format.bytesOf(element)) return false;
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
