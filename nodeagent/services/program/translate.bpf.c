// Translates the ClusterIP of a service on a network where a pod's process connects or sends to it.
// See docs/decisions/0093.
//
// Attached to the control group of all pods, so a process of a pod without networks passes here
// too: one look that finds nothing, and it goes on. A process that isn't on the service's network
// is told so at once, as it is where there is no endpoint.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nodeagent/services/program/layout.h"

#define PASS 1
#define REFUSE 0

// Of the kernel's and libc's headers, which don't go together here.
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define ENETUNREACH 101
#define ECONNREFUSED 111

#define NANOSECONDS 1000000000ULL  // of a second

// Elements take memory when they are there.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, MN_MAX_MEMBERS);
  __type(key, struct mn_member);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} members SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, MN_MAX_SERVICES);
  __type(key, struct mn_frontend);
  __type(value, struct mn_service);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, MN_MAX_ENDPOINTS);
  __type(key, struct mn_slot);
  __type(value, struct mn_backend);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, MN_MAX_ENDPOINTS);
  __type(key, struct mn_endpoint);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} endpoints SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, MN_MAX_FLOWS);
  __type(key, struct mn_flow);
  __type(value, struct mn_remembered);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, MN_MAX_CHOICES);
  __type(key, struct mn_client);
  __type(value, struct mn_choice);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} choices SEC(".maps");

// Goes with its socket.
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct mn_connection);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} connected SEC(".maps");

#define ALWAYS static __attribute__((always_inline)) inline

ALWAYS void set4(__u32 address[4], __u32 ip) {
  address[0] = 0;
  address[1] = 0;
  address[2] = bpf_htonl(0xffff);
  address[3] = ip;
}

ALWAYS void copy(__u32 to[4], const __u32 from[4]) {
  to[0] = from[0];
  to[1] = from[1];
  to[2] = from[2];
  to[3] = from[3];
}

ALWAYS int same(const struct mn_backend* one, const struct mn_backend* other) {
  return one->address[0] == other->address[0] && one->address[1] == other->address[1] &&
         one->address[2] == other->address[2] && one->address[3] == other->address[3] &&
         one->port == other->port;
}

/// Whom the socket's call is about, as the context says it.
ALWAYS struct mn_backend read4(const struct bpf_sock_addr* context) {
  struct mn_backend it = {};
  set4(it.address, context->user_ip4);
  it.port = (__u16)context->user_port;
  return it;
}

ALWAYS struct mn_backend read6(const struct bpf_sock_addr* context) {
  struct mn_backend it = {};
  it.address[0] = context->user_ip6[0];
  it.address[1] = context->user_ip6[1];
  it.address[2] = context->user_ip6[2];
  it.address[3] = context->user_ip6[3];
  it.port = (__u16)context->user_port;
  return it;
}

ALWAYS void write4(struct bpf_sock_addr* context, const struct mn_backend* it) {
  context->user_ip4 = it->address[3];
  context->user_port = it->port;
}

ALWAYS void write6(struct bpf_sock_addr* context, const struct mn_backend* it) {
  context->user_ip6[0] = it->address[0];
  context->user_ip6[1] = it->address[1];
  context->user_ip6[2] = it->address[2];
  context->user_ip6[3] = it->address[3];
  context->user_port = it->port;
}

ALWAYS int refuse(int error) {
  bpf_set_retval(-error);
  return REFUSE;
}

/// 0: neither TCP nor UDP.
ALWAYS __u8 protocol_of(const struct bpf_sock_addr* context) {
  const __u32 type = context->type;
  const __u32 protocol = context->protocol;
  if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)) {
    return IPPROTO_TCP;
  }
  if (type == SOCK_DGRAM && protocol == IPPROTO_UDP) return IPPROTO_UDP;
  return 0;
}

ALWAYS int on_any_network(struct bpf_sock_addr* context, struct mn_member* member) {
  member->netns = bpf_get_netns_cookie(context);
  member->network = 0;
  return bpf_map_lookup_elem(&members, member) != 0;
}

/// The service that `to` is; 0 where it is none, or none for this pod's programs. `error` where its networks forbid it.
ALWAYS struct mn_service* find(struct mn_member* member, const struct mn_backend* to, __u8 protocol,
                               int* error) {
  struct mn_frontend frontend = {.port = to->port, .protocol = protocol};
  copy(frontend.address, to->address);
  struct mn_service* service = bpf_map_lookup_elem(&services, &frontend);
  if (!service) return 0;
  member->network = service->network;
  if (bpf_map_lookup_elem(&members, member)) return service;
  if (service->flags & MN_REACHES_CLUSTER) return 0;
  *error = ENETUNREACH;
  return service;
}

/// Any endpoint; 0 where there is none.
ALWAYS struct mn_backend* any_of(const struct mn_service* service) {
  const __u32 count = service->count;
  if (count == 0) return 0;
  struct mn_slot slot = {.id = service->id, .index = bpf_get_prandom_u32() % count};
  struct mn_backend* backend = bpf_map_lookup_elem(&slots, &slot);
  if (backend) return backend;
  // The count is older than the slots: the last was taken away.
  slot.index = 0;
  return bpf_map_lookup_elem(&slots, &slot);
}

ALWAYS int is_there(__u32 id, const struct mn_backend* backend) {
  const struct mn_endpoint endpoint = {.id = id, .backend = *backend};
  return bpf_map_lookup_elem(&endpoints, &endpoint) != 0;
}

/// The endpoint that the client had, as long as its service says and that is there; else any. 0
/// where there is none.
ALWAYS int choose(const struct mn_service* service, __u64 netns, struct mn_backend* chosen) {
  const __u64 kept = service->affinity * NANOSECONDS;
  const struct mn_client client = {.netns = netns, .id = service->id};
  const __u64 now = kept ? bpf_ktime_get_coarse_ns() : 0;
  if (kept) {
    struct mn_choice* before = bpf_map_lookup_elem(&choices, &client);
    if (before && before->used + kept > now) {
      // A copy: the place may be another client's at any moment.
      *chosen = before->backend;
      if (is_there(service->id, chosen)) {
        before->used = now;
        return 1;
      }
    }
  }
  const struct mn_backend* backend = any_of(service);
  if (!backend) return 0;
  *chosen = *backend;
  if (kept) {
    const struct mn_choice choice = {.used = now, .backend = *chosen};
    bpf_map_update_elem(&choices, &client, &choice, BPF_ANY);
  }
  return 1;
}

/// Which service an endpoint is for this socket; the agent reads it too, of sockets whose endpoint
/// has gone.
ALWAYS void remember_back(__u64 socket, const struct mn_backend* backend, __u32 id,
                          const struct mn_backend* frontend) {
  struct mn_flow back = {.socket = socket, .port = backend->port, .back = 1};
  copy(back.address, backend->address);
  const struct mn_remembered now = {.id = id, .other = *frontend};
  bpf_map_update_elem(&flows, &back, &now, BPF_ANY);
}

/// Where a connect goes. PASS with `to` changed or not, or the error was set.
ALWAYS int connect_to(struct bpf_sock_addr* context, struct mn_backend* to, int* changed) {
  const __u8 protocol = protocol_of(context);
  if (protocol == 0) return PASS;
  struct mn_member member = {};
  if (!on_any_network(context, &member)) return PASS;
  int error = 0;
  struct mn_service* service = find(&member, to, protocol, &error);
  if (!service) {
    // A UDP socket may have been connected to a service before.
    if (protocol == IPPROTO_UDP && context->sk) bpf_sk_storage_delete(&connected, context->sk);
    return PASS;
  }
  if (error) return refuse(error);
  struct mn_backend backend;
  if (!choose(service, member.netns, &backend)) return refuse(ECONNREFUSED);
  if (protocol == IPPROTO_UDP) {
    remember_back(bpf_get_socket_cookie(context), &backend, service->id, to);
  }
  if (context->sk) {
    struct mn_connection* connection =
        bpf_sk_storage_get(&connected, context->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (connection) {
      connection->frontend = *to;
      connection->backend = backend;
    }
  }
  *to = backend;
  *changed = 1;
  return PASS;
}

/// Where a datagram of an unconnected socket goes: what it was given first, as long as that is
/// there.
ALWAYS int send_to(struct bpf_sock_addr* context, struct mn_backend* to, int* changed) {
  struct mn_member member = {};
  if (protocol_of(context) != IPPROTO_UDP || !on_any_network(context, &member)) return PASS;
  int error = 0;
  struct mn_service* service = find(&member, to, IPPROTO_UDP, &error);
  if (!service) return PASS;
  if (error) return refuse(error);
  struct mn_flow flow = {.socket = bpf_get_socket_cookie(context), .port = to->port};
  copy(flow.address, to->address);
  const struct mn_remembered* before = bpf_map_lookup_elem(&flows, &flow);
  struct mn_backend backend;
  if (before && before->id == service->id) {
    backend = before->other;
    if (is_there(service->id, &backend)) {
      *to = backend;
      *changed = 1;
      return PASS;
    }
  }
  if (!choose(service, member.netns, &backend)) return refuse(ECONNREFUSED);
  const struct mn_remembered now = {.id = service->id, .other = backend};
  bpf_map_update_elem(&flows, &flow, &now, BPF_ANY);
  remember_back(flow.socket, &backend, service->id, to);
  *to = backend;
  *changed = 1;
  return PASS;
}

/// Whom a connected socket was told to speak with, where `from` is whom it does speak with.
ALWAYS int connected_to(struct bpf_sock_addr* context, struct mn_backend* from) {
  if (!context->sk) return 0;
  const struct mn_connection* connection = bpf_sk_storage_get(&connected, context->sk, 0, 0);
  if (!connection || !same(&connection->backend, from)) return 0;
  *from = connection->frontend;
  return 1;
}

/// From whom a datagram came, as the socket knows it.
ALWAYS int heard_from(struct bpf_sock_addr* context, struct mn_backend* from) {
  struct mn_member member = {};
  if (!on_any_network(context, &member)) return 0;
  struct mn_flow flow = {.socket = bpf_get_socket_cookie(context), .port = from->port, .back = 1};
  copy(flow.address, from->address);
  const struct mn_remembered* before = bpf_map_lookup_elem(&flows, &flow);
  if (!before) return 0;
  *from = before->other;
  return 1;
}

#define PROGRAMS(family)                                         \
  SEC("cgroup/connect" #family)                                  \
  int connect##family(struct bpf_sock_addr* context) {           \
    struct mn_backend it = read##family(context);                \
    int changed = 0;                                             \
    const int verdict = connect_to(context, &it, &changed);      \
    if (changed) write##family(context, &it);                    \
    return verdict;                                              \
  }                                                              \
  SEC("cgroup/sendmsg" #family)                                  \
  int sendmsg##family(struct bpf_sock_addr* context) {           \
    struct mn_backend it = read##family(context);                \
    int changed = 0;                                             \
    const int verdict = send_to(context, &it, &changed);         \
    if (changed) write##family(context, &it);                    \
    return verdict;                                              \
  }                                                              \
  SEC("cgroup/recvmsg" #family)                                  \
  int recvmsg##family(struct bpf_sock_addr* context) {           \
    struct mn_backend it = read##family(context);                \
    if (heard_from(context, &it)) write##family(context, &it);   \
    return PASS;                                                 \
  }                                                              \
  SEC("cgroup/getpeername" #family)                              \
  int getpeername##family(struct bpf_sock_addr* context) {       \
    struct mn_backend it = read##family(context);                \
    if (connected_to(context, &it)) write##family(context, &it); \
    return PASS;                                                 \
  }

PROGRAMS(4)
PROGRAMS(6)
