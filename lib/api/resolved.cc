// The text form of a resolution: multinet.dev/resolved.
#include "lib/api/names.h"
#include "lib/api/resolve.h"

namespace multinet::api {
namespace {

constexpr std::string_view kAttachmentPrefix = "attachment/";

tl::unexpected<Error> refuse(std::string_view item, const std::string& detail) {
  return fail(Code::InvalidArgument, "InvalidResolution",
              std::string("read ") + kResolvedAnnotation + " item \"" + std::string(item) +
                  "\": " + detail);
}

struct NameAndUid {
  std::string name;
  std::string uid;
};

Result<NameAndUid> parseObject(std::string_view item, std::string_view text) {
  const auto sign = text.find('@');
  const bool whole = sign != std::string_view::npos && sign > 0 && sign + 1 < text.size();
  if (!whole) return refuse(item, "must name an object as NAME@UID");
  const std::string_view name = text.substr(0, sign);
  if (!isDnsSubdomain(name)) return refuse(item, "\"" + std::string(name) + "\" is no name");
  const std::string_view uid = text.substr(sign + 1);
  if (uid.find_first_of("@:=,/") != std::string_view::npos) {
    return refuse(item, "\"" + std::string(uid) + "\" is no UID");
  }
  return NameAndUid{std::string(name), std::string(uid)};
}

Result<ResolvedReference> parseItem(std::string_view item) {
  const auto equals = item.find('=');
  if (equals == std::string_view::npos) return refuse(item, "must be INTERFACE=OBJECT");
  ResolvedReference out;
  MULTINET_TRY(out.name, InterfaceName::parse(item.substr(0, equals)));
  std::string_view object = item.substr(equals + 1);
  const bool attachment = object.starts_with(kAttachmentPrefix);
  if (attachment) object.remove_prefix(kAttachmentPrefix.size());
  const auto colon = object.find(':');
  if (attachment == (colon == std::string_view::npos)) {
    return refuse(item, "an attachment, and only one, names its network after a colon");
  }
  MULTINET_TRY(const NameAndUid first, parseObject(item, object.substr(0, colon)));
  out.item = {attachment ? RequestKind::Attachment : RequestKind::Network, first.name};
  out.objectUid = first.uid;
  NameAndUid network = first;
  if (attachment) {
    MULTINET_TRY(network, parseObject(item, object.substr(colon + 1)));
  }
  out.network = NetworkName(network.name);
  out.networkUid = NetworkUid(network.uid);
  return out;
}

}  // namespace

std::string formatResolved(const std::vector<ResolvedInterface>& interfaces) {
  std::string out;
  for (const auto& interface : interfaces) {
    if (!out.empty()) out += ',';
    out += interface.name.str() + "=" + interface.item.str() + "@" + interface.objectUid;
    if (interface.item.kind == RequestKind::Attachment) {
      out += ":" + interface.network.str() + "@" + interface.networkUid.str();
    }
  }
  return out;
}

Result<std::vector<ResolvedReference>> parseResolved(std::string_view text) {
  std::vector<ResolvedReference> out;
  if (text.empty()) return out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    MULTINET_TRY(ResolvedReference item, parseItem(text.substr(start, end - start)));
    out.push_back(std::move(item));
    if (out.size() > kMaxInterfaces) {
      return refuse(text.substr(start, end - start),
                    "is more than the " + std::to_string(kMaxInterfaces) + " that a pod can have");
    }
    start = end + 1;
  }
  return out;
}

}  // namespace multinet::api
