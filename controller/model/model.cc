#include "controller/model/model.h"

#include <tuple>

namespace multinet::controller {

bool olderThan(const Meta& left, const Meta& right) {
  return std::tie(left.created, left.uid) < std::tie(right.created, right.uid);
}

}  // namespace multinet::controller
