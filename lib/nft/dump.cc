#include "lib/nft/dump.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "lib/nft/batch.h"

namespace multinet::nft {

netlink::Message dumpRequest(unsigned get, const Table& table, const std::string& set) {
  netlink::Message request = nftMessage(get, NLM_F_DUMP, familyOf(table.family));
  // The table's is the first attribute of all kinds.
  request.put(NFTA_SET_TABLE, table.name);
  if (!set.empty()) request.put(NFTA_SET_ELEM_LIST_SET, set);
  return request;
}

netlink::Message counterRequest(const Table& table) {
  netlink::Message request = dumpRequest(NFT_MSG_GETOBJ, table);
  request.putU32(NFTA_OBJ_TYPE, __builtin_bswap32(NFT_OBJECT_COUNTER));
  return request;
}

}  // namespace multinet::nft
