#include "test/support/large_cluster.h"

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace multinet::testing {
namespace {

constexpr const char* kRevision = "1000000";

/// What the server keeps for itself, and readers pass over.
constexpr std::string_view kManaged =
    R"("managedFields":[{"manager":"somebody","operation":"Update","apiVersion":"multinet.dev/v1alpha1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},"f:spec":{".":{},"f:podNetworkName":{}}}}])";

/// $i: the object's number; $u: the end of a UID, with `u` of its kind; $w, $n, $s, $p: the numbers
/// of a network, a node, a namespace and a pod.
constexpr std::string_view kMetadata =
    R"("metadata":{"name":"@","uid":"00000000-0000-4000-8000-$u","resourceVersion":"$v","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z",$m#},)";

std::string metadata(const std::string& name, const std::string& more) {
  std::string text(kMetadata);
  text.replace(text.find('@'), 1, name);
  text.replace(text.find('#'), 1, more);
  return text;
}

std::string condition(const std::string& type, const std::string& status, const std::string& reason,
                      const std::string& message) {
  return R"({"type":")" + type + R"(","status":")" + status +
         R"(","observedGeneration":1,"lastTransitionTime":"2026-01-01T00:00:00Z","reason":")" +
         reason + R"(","message":")" + message + R"("})";
}

const std::map<std::string, std::string, std::less<>>& templates() {
  static const std::map<std::string, std::string, std::less<>> kTemplates = {
      {"nodes", "{" + metadata("node-$i", R"(,"labels":{"kubernetes.io/hostname":"node-$i"})") +
                    R"("spec":{"podCIDR":"10.0.0.0/24"},"status":{"conditions":[)" +
                    condition("Ready", "True", "KubeletReady", "kubelet is posting ready status") +
                    "]}}"},
      {"namespaces",
       "{" + metadata("team-$i", R"(,"labels":{"kubernetes.io/metadata.name":"team-$i"})") +
           R"("spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})"},
      {"podnetworks",
       "{" + metadata("net-$i", R"(,"finalizers":["multinet.dev/in-use"])") +
           R"("spec":{"type":"VXLAN","vxlan":{},"ipam":{"subnets":[{"cidr":"10.$b.0.0/16","gateway":"10.$b.0.1","blockSize":26}]},"access":{"namespaces":{"from":"All"}}},)"
           R"("status":{"vni":$x,"attachedPods":100,"nodes":{"desired":5000,"ready":50},"conditions":[)" +
           condition("Ready", "True", "Accepted", "The network can be used.") + "," +
           condition("InUse", "True", "PodsAttached",
                     "Pods have interfaces here, or are about to.") +
           "," +
           condition("Degraded", "False", "NodesReady", "Every node that reports it is ready.") +
           "]}}"},
      {"networkidentifiers",
       "{" + metadata("vxlan-$x", "") +
           R"("spec":{"kind":"VXLAN","id":$x,"podNetworkName":"net-$i","podNetworkUID":"00000000-0000-4000-8000-$u"}})"},
      {"podnetworkattachments",
       "{" + metadata("nic-$i", R"(,"namespace":"team-$s")") +
           R"("spec":{"podNetworkName":"net-$w"},"status":{"attachedPods":1,"conditions":[)" +
           condition("Ready", "True", "Accepted",
                     "Pods of this namespace can use the attachment.") +
           "]}}"},
      {"pods",
       "{" +
           metadata(
               "web-$i",
               R"(,"namespace":"team-$s","labels":{"app.kubernetes.io/name":"web","app.kubernetes.io/instance":"web-production","app.kubernetes.io/part-of":"shop","pod-template-hash":"7d9c5b8f6d"},"annotations":{$a"note":"a word of somebody's"})") +
           R"("spec":{"nodeName":"node-$n","containers":[{"name":"web","image":"registry.example/web:1.2.3","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"resources":{"limits":{"memory":"64Mi"}},"env":[{"name":"SETTING","value":"something of a length that is usual"}]}]},"status":{"phase":"Running","podIP":"10.0.0.1","conditions":[)" +
           condition("Ready", "True", "", "") + "]}}"},
      {"podinterfacesets",
       "{" + metadata("web-$i-00000000", R"(,"namespace":"team-$s")") +
           R"("pod":{"name":"web-$i","uid":"00000000-0000-4000-8000-$u"},"nodeName":"node-$n","interfaces":[{"name":"net1","podNetworkName":"net-$w","attachmentName":"nic-$i","mac":"02:00:00:00:00:01","ips":[{"address":"10.1.0.1/16"}],"conditions":[)" +
           condition("Ready", "True", "Attached", "") + "]}]}"},
      {"nodenetworksets", "{" + metadata("node-$i", "") +
                              R"("spec":{"nodeName":"node-$i"},"status":{"networks":[$r]}})"},
      {"networkpeers",
       "{" + metadata("net-$w.node-$n", "") +
           R"("podNetworkName":"net-$w","podNetworkUID":"00000000-0000-4000-8000-$q","nodeName":"node-$n","underlayIPs":["192.0.2.1"],"bridgeMAC":"02:00:00:00:00:01"})"},
      {"ipblocks",
       "{" + metadata("net-$w-v4-10.$b.$c.0-26", "") +
           R"("spec":{"podNetworkName":"net-$w","podNetworkUID":"00000000-0000-4000-8000-$q","cidr":"10.$b.$c.0/26","nodeName":"node-$n"}})"},
  };
  return kTemplates;
}

std::string twelve(int number) {
  std::string text = std::to_string(number);
  return std::string(12 - text.size(), '0') + text;
}

std::string pluralOf(const std::string& target) {
  const std::string path = target.substr(0, target.find('?'));
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

int LargeCluster::count(std::string_view plural) const {
  const int perNode = size_.nodes * size_.networksPerNode;
  const std::map<std::string_view, int> counts = {{"nodes", size_.nodes},
                                                  {"namespaces", size_.namespaces},
                                                  {"podnetworks", size_.networks},
                                                  {"networkidentifiers", size_.networks},
                                                  {"podnetworkattachments", size_.attachments},
                                                  {"pods", size_.pods},
                                                  {"podinterfacesets", size_.podsOfNetworks},
                                                  {"nodenetworksets", size_.nodes},
                                                  {"networkpeers", perNode},
                                                  {"ipblocks", perNode}};
  const auto found = counts.find(plural);
  return found == counts.end() ? 0 : found->second;
}

std::string LargeCluster::object(std::string_view plural, int number) const {
  const bool perNode = plural == "networkpeers" || plural == "ipblocks";
  const int node = perNode ? number / size_.networksPerNode : number % size_.nodes;
  // A node's networks are neighbours.
  const auto networkOf = [this](int ofNode, int i) {
    return (ofNode * size_.networksPerNode + i) % size_.networks;
  };
  const int network = perNode ? networkOf(node, number % size_.networksPerNode)
                              : networkOf(node, number / size_.nodes % size_.networksPerNode);
  const auto value = [&](char token) -> std::string {
    switch (token) {
      case 'i':
        return std::to_string(number);
      case 'u':
        return twelve(number);
      case 'v':
        return std::to_string(1000 + number);
      case 'm':
        return std::string(kManaged);
      case 'w':
        return std::to_string(network);
      case 'q':
        return twelve(network);
      case 'n':
        return std::to_string(node);
      case 's':
        return std::to_string(number % size_.namespaces);
      case 'b':
        return std::to_string((perNode ? network : number) % 250 + 1);
      case 'c':
        return std::to_string(node % 250);
      case 'x':
        return std::to_string(10000 + number);
      case 'a':
        return number < size_.podsOfNetworks
                   ? R"("multinet.dev/networks":"attachment/nic-)" + std::to_string(number) + "\","
                   : "";
      case 'r': {
        std::string all;
        for (int i = 0; i < size_.networksPerNode; ++i) {
          all += (i == 0 ? "" : ",") + std::string(R"({"podNetworkName":"net-)") +
                 std::to_string(networkOf(number, i)) + R"(","podNetworkUID":"u","conditions":[)" +
                 condition("Ready", "True", "Ready", "bridge and tunnel are up") + "]}";
        }
        return all;
      }
      default:
        throw std::logic_error(std::string("unknown token ") + token);
    }
  };
  const std::string& pattern = templates().find(plural)->second;
  std::string text;
  text.reserve(pattern.size() + 1024);
  for (std::size_t at = 0;;) {
    const auto mark = pattern.find('$', at);
    text.append(pattern, at, mark == std::string::npos ? mark : mark - at);
    if (mark == std::string::npos) return text;
    text += value(pattern[mark + 1]);
    at = mark + 2;
  }
}

bool LargeCluster::listed(int times) const {
  const std::lock_guard lock(mutex_);
  return lists_ == times * static_cast<int>(followed_.size());
}

void LargeCluster::expire() {
  {
    const std::lock_guard lock(mutex_);
    ++compactions_;
  }
  expired_.notify_all();
}

Result<kube::HttpResponse> LargeCluster::call(const kube::HttpRequest& request,
                                              Duration /*deadline*/) {
  if (request.method == kube::Method::Get) {
    return kube::HttpResponse{
        200, std::string(R"({"items":[],"metadata":{"resourceVersion":")") + kRevision + R"("}})",
        std::nullopt};
  }
  return kube::HttpResponse{
      403, R"({"kind":"Status","reason":"Forbidden","message":"nothing is kept here"})",
      std::nullopt};
}

Result<kube::HttpResponse> LargeCluster::stream(const kube::HttpRequest& request,
                                                const std::function<Duration()>& /*patience*/,
                                                const kube::ByteSink& sink,
                                                const std::stop_token& stop) {
  const std::string plural = pluralOf(request.target);
  std::uint64_t compactions = 0;
  {
    const std::lock_guard lock(mutex_);
    compactions = compactions_;
    followed_.insert(plural);
  }
  if (request.target.find("sendInitialEvents=true") != std::string::npos) {
    for (int i = 0; i < count(plural) && !stop.stop_requested(); ++i) {
      MULTINET_CHECK(sink(R"({"type":"ADDED","object":)" + object(plural, i) + "}\n"));
    }
    MULTINET_CHECK(
        sink(std::string(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":")") +
             kRevision + R"(","annotations":{"k8s.io/initial-events-end":"true"}}}})" + "\n"));
    ++lists_;
  }
  std::unique_lock lock(mutex_);
  if (!expired_.wait(lock, stop, [&] { return compactions_ != compactions; })) {
    return fail(Code::Cancelled, "Cancelled", "stream: nobody listens any more");
  }
  lock.unlock();
  MULTINET_CHECK(sink(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"compacted"}})"
      "\n"));
  return kube::HttpResponse{200, "", std::nullopt};
}

std::uint64_t peakOfMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    const std::uint64_t kibibytes = std::stoull(line.substr(6));
    std::ofstream("/proc/self/clear_refs") << "5";  // begins anew (proc(5))
    return kibibytes << 10U;
  }
  throw std::runtime_error("/proc/self/status: no VmHWM");
}

std::uint64_t memoryLimitOf(const std::string& manifest) {
  std::stringstream text;
  text << std::ifstream(manifest).rdbuf();
  const std::string all = text.str();
  std::smatch found;
  if (!std::regex_search(all, found, std::regex(R"(limits: \{memory: (\d+)Mi\})"))) {
    throw std::runtime_error(manifest + ": no memory limit in Mi");
  }
  return std::stoull(found[1]) << 20U;
}

}  // namespace multinet::testing
