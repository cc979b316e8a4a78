#include "lib/api/reservations.h"

#include "lib/api/names.h"

namespace multinet::api {

Status checkName(const IPBlock& block) {
  const auto cidr = IpPrefix::parse(block.spec.cidr);
  if (!cidr) return fail(cidr.error().within("read IPBlock " + block.metadata.name));
  const std::string right = blockName(NetworkName(block.spec.podNetworkName), *cidr);
  if (block.metadata.name == right) return {};
  return fail(Code::InvalidArgument, "WrongName",
              "read IPBlock " + block.metadata.name + ": its spec makes the name " + right);
}

}  // namespace multinet::api
