// For object_vm_test.cc: counts the connects of IPv4, and refuses those to port 7.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counts SEC(".maps");

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* context) {
  const __u32 port = bpf_ntohs((__u16)context->user_port);
  if (port == 7) return 0;
  __u64* count = bpf_map_lookup_elem(&counts, &port);
  if (count) __sync_fetch_and_add(count, 1);
  return 1;
}

char LICENSE[] SEC("license") = "GPL";
