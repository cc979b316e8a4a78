// To a pod a VXLAN network is a bridge of its node; the tunnel behind it is nodeagent/networks'.
#include "nodeagent/drivers/bridge.h"

namespace multinet::agent::drivers {
namespace {

class VxlanDriver final : public BridgeDriver {};

}  // namespace

const Driver& vxlanDriver() {
  static const VxlanDriver driver;
  return driver;
}

}  // namespace multinet::agent::drivers
