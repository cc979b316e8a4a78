// Keys and values of the maps, as the programs (C) and the agent (C++) have them. Addresses are in
// network order, those of IPv4 as IPv6 has them (::ffff:10.0.0.1); ports are in network order. No
// struct has a hole, since keys are compared byte by byte.
//
// The maps outlive the agent: whoever changes a struct or what a map means raises MN_LAYOUT.
#pragma once

#include <linux/types.h>

/// Part of the directory's name in which the maps are kept.
#define MN_LAYOUT 2

#define MN_MAX_MEMBERS 16384
#define MN_MAX_SERVICES 16384
#define MN_MAX_ENDPOINTS 131072
#define MN_MAX_FLOWS 16384
#define MN_MAX_CHOICES 16384

// NOLINTBEGIN(readability-identifier-naming): C's names, which the programs share.
/// Map `members`: which networks the pods of a network namespace have. Network 0: whether any.
struct mn_member {
  __u64 netns;  ///< its cookie, which no other gets until the next boot
  __u64 network;
};

/// Map `services`, key: what a client connects to.
struct mn_frontend {
  __u32 address[4];
  __u16 port;
  __u8 protocol;  ///< IPPROTO_TCP, IPPROTO_UDP
  __u8 unused;
};
/// And its value.
struct mn_service {
  __u64 network;
  __u32 id;        ///< of its slots; never used again
  __u32 count;     ///< slots 0 to count - 1 are there
  __u32 affinity;  ///< for how many seconds a client keeps its endpoint; 0: not at all
  __u32 flags;     ///< MN_REACHES_CLUSTER; agents before it wrote 0
};
/// Clients who aren't on the network pass untranslated: the node's gateway has them.
#define MN_REACHES_CLUSTER 1

/// Map `slots`, key.
struct mn_slot {
  __u32 id;
  __u32 index;
};
/// And its value: where it really goes.
struct mn_backend {
  __u32 address[4];
  __u16 port;
  __u16 unused;
};

/// Map `endpoints`, key: those that are there, of UDP and of services with an affinity. What a
/// socket or a client was given counts while it is.
struct mn_endpoint {
  __u32 id;
  struct mn_backend backend;
};

/// Map `choices`, key: a client is a pod, on whichever of its addresses.
struct mn_client {
  __u64 netns;  ///< its cookie
  __u32 id;     ///< of the service
  __u32 unused;
};
/// And its value: the endpoint that it has.
struct mn_choice {
  __u64 used;  ///< when it last connected: ns, of the coarse monotonic clock
  struct mn_backend backend;
  __u32 unused;
};

/// Map `flows`, key: what an unconnected UDP socket sends to, or hears from.
struct mn_flow {
  __u64 socket;  ///< its cookie
  __u32 address[4];
  __u16 port;
  __u16 back;  ///< 0: from frontend to endpoint; 1: from endpoint to frontend
  __u32 unused;
};
/// And its value.
struct mn_remembered {
  __u32 id;
  struct mn_backend other;
};

/// Map `connected`, of a socket: both ends of what was translated.
struct mn_connection {
  struct mn_backend frontend;
  struct mn_backend backend;
};
// NOLINTEND(readability-identifier-naming)
