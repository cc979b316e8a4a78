#include "lib/nft/extent.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "lib/nft/dump.h"

namespace multinet::nft {
namespace {

using netlink::Attributes;

constexpr std::size_t kOne = 128;

/// Adds up dumps, and ends the one in which there was enough.
class Meter {
 public:
  Meter(BatchSocket socket, const Table& table, std::size_t most)
      : socket_(std::move(socket)), table_(table), left_(most) {}

  Result<bool> run() {
    std::vector<std::string> sets;
    MULTINET_CHECK(measure(NFT_MSG_GETSET, "", [&](const Attributes& set) {
      sets.push_back(set.text(NFTA_SET_NAME).value_or(""));
      return std::size_t{1};
    }));
    const auto one = [](const Attributes&) { return std::size_t{1}; };
    for (const unsigned get :
         {NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE}) {
      MULTINET_CHECK(measure(get, "", one));
    }
    for (const std::string& set : sets) {
      // Many are in one message.
      MULTINET_CHECK(measure(NFT_MSG_GETSETELEM, set, [](const Attributes& list) {
        return list.nested(NFTA_SET_ELEM_LIST_ELEMENTS).all().size();
      }));
    }
    return !isBeyond_;
  }

 private:
  template <class Count>
  Status measure(unsigned get, const std::string& set, Count count) {
    if (isBeyond_) return {};
    return socket_.dump(dumpRequest(get, table_, set), [&](const netlink::Frame& frame) {
      const auto attributes = Attributes::parse(frame.payload, sizeof(nfgenmsg));
      const std::size_t found = attributes ? count(*attributes) : 0;
      const std::size_t cost = std::max(found, frame.payload.size() / kOne);
      isBeyond_ = cost > left_;
      left_ -= std::min(cost, left_);
      return !isBeyond_;
    });
  }

  BatchSocket socket_;
  const Table& table_;
  std::size_t left_;
  bool isBeyond_ = false;
};

}  // namespace

Result<bool> isWithin(BatchSocket socket, const Table& table, std::size_t most) {
  return Meter(std::move(socket), table, most).run();
}

}  // namespace multinet::nft
