#include "lib/api/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

using Verdict = RuleOutcome::Verdict;

std::string itemPath(std::size_t index) {
  return parts::requestPath() + " item " + std::to_string(index + 1);
}

/// Collects what rules say, for people (outcomes) and for programs (violations) at once.
class Verdicts {
 public:
  Verdicts(std::vector<RuleOutcome>& outcomes, Report& report)
      : outcomes_(&outcomes), report_(&report) {}

  void passed(std::string rule, std::string text) {
    outcomes_->push_back({std::move(rule), Verdict::Passed, std::move(text)});
  }
  void skipped(std::string rule, std::string text) {
    outcomes_->push_back({std::move(rule), Verdict::Skipped, std::move(text)});
  }
  void broken(std::string rule, Violation violation) {
    outcomes_->push_back({std::move(rule), Verdict::Broken, violation.str()});
    report_->violations.push_back(std::move(violation));
    ++broken_;
  }
  void warned(std::string rule, Violation warning) {
    outcomes_->push_back({std::move(rule), Verdict::Warned, warning.str()});
    report_->warnings.push_back(std::move(warning));
  }
  /// Passed, or each violation.
  void judge(const std::string& rule, Report findings, const std::string& good) {
    if (findings.ok()) passed(rule, good);
    for (auto& violation : findings.violations) broken(rule, std::move(violation));
    for (auto& warning : findings.warnings) warned(rule, std::move(warning));
  }
  [[nodiscard]] bool clean() const { return broken_ == 0; }

 private:
  std::vector<RuleOutcome>* outcomes_;
  Report* report_;
  std::size_t broken_ = 0;
};

/// The same findings, told of the pod: the object that they are in goes into the words.
Report told(Report report, const std::string& path, const std::string& item,
            const std::string& object) {
  const auto move = [&](Violations& violations) {
    for (auto& violation : violations) {
      const std::string inner = violation.value.empty() ? "" : " \"" + violation.value + "\"";
      violation.detail = fmt::format("{} {}{} {}", object, violation.path, inner, violation.detail);
      violation.path = path;
      violation.value = item;
    }
  };
  move(report.violations);
  move(report.warnings);
  return report;
}

/// The rules for one item of a request.
class ItemJudge {
 public:
  ItemJudge(const PodSubject& pod, const Catalog& catalog, const RequestItem& item,
            std::size_t index, ExplainedItem& out, Report& report)
      : pod_(&pod),
        catalog_(&catalog),
        item_(&item),
        index_(index),
        out_(&out),
        verdicts_(out.rules, report) {}

  /// The subnets of the network that the interface is in, if it gets one.
  std::vector<parts::TypedSubnet> run() {
    PodNetworkAttachmentSpec wish;
    wish.podNetworkName = item_->name;
    std::string objectUid;
    if (item_->kind == RequestKind::Attachment) {
      const auto attachment = catalog_->attachment(pod_->namespaceName, item_->name);
      if (!judgeAttachment(attachment)) return {};
      wish = attachment->spec;
      objectUid = attachment->metadata.uid;
    }
    const auto network = catalog_->network(wish.podNetworkName);
    if (!network && !catalog_->showsAll()) {
      Violation closed = parts::notOpen(pod_->namespaceName, *catalog_);
      closed.path = itemPath(index_);
      closed.value = item_->str();
      verdicts_.broken("NetworkExists", std::move(closed));
      return {};
    }
    if (!network) {
      verdicts_.broken("NetworkExists",
                       say("names PodNetwork \"" + wish.podNetworkName + "\", which doesn't exist",
                           "name one of kubectl get pnet", "NetworkNotFound", Code::NotFound));
      return {};
    }
    verdicts_.passed("NetworkExists", "PodNetwork \"" + wish.podNetworkName + "\" exists");
    if (objectUid.empty()) objectUid = network->metadata.uid;
    judgeNetwork(*network);
    judgeWish(wish, *network);
    if (verdicts_.clean()) out_->interface = make(wish, *network, objectUid);
    return out_->interface ? parts::typedSubnets(network->spec) : std::vector<parts::TypedSubnet>();
  }

 private:
  [[nodiscard]] Violation say(std::string detail, std::string remedy, std::string reason,
                              Code code) const {
    return {itemPath(index_),  item_->str(),      std::move(detail),
            std::move(remedy), std::move(reason), code};
  }

  bool judgeAttachment(const std::optional<PodNetworkAttachment>& attachment) {
    if (!attachment) {
      verdicts_.broken(
          "AttachmentExists",
          say("names no PodNetworkAttachment of namespace \"" + pod_->namespaceName + "\"" +
                  (catalog_->showsAll() ? "" : " whose network is open to it"),
              "name one of kubectl get podnetworkattachments -n " + pod_->namespaceName,
              "AttachmentNotFound", Code::NotFound));
      return false;
    }
    verdicts_.passed("AttachmentExists", "PodNetworkAttachment \"" + item_->name + "\" exists");
    if (attachment->metadata.deleting()) {
      verdicts_.broken("AttachmentStays", say("is being deleted", "name another attachment",
                                              "AttachmentDeleting", Code::FailedPrecondition));
    }
    return true;
  }

  void judgeNetwork(const PodNetwork& network) {
    const std::string subject = "PodNetwork \"" + network.metadata.name + "\" ";
    if (!network.spec.isEnabled()) {
      verdicts_.broken("NetworkEnabled",
                       say("uses a network that is disabled",
                           "have the admin set spec.enabled of " + subject + "to true",
                           "NetworkDisabled", Code::FailedPrecondition));
    } else {
      verdicts_.passed("NetworkEnabled", subject + "is enabled");
    }
    if (network.metadata.deleting()) {
      verdicts_.broken("NetworkStays",
                       say("uses a network that is being deleted", "name another network",
                           "NetworkDeleting", Code::FailedPrecondition));
    }
    verdicts_.judge("NetworkValid",
                    told({validate(network).violations, {}}, itemPath(index_), item_->str(),
                         subject + "is wrong:"),
                    subject + "breaks no rule");
    judgeReady(network, subject);
    judgeAccess(network, subject);
  }

  void judgeReady(const PodNetwork& network, const std::string& subject) {
    if (network.isReady()) {
      verdicts_.passed("NetworkReady", subject + "is Ready");
      const auto& nodes = network.status.nodes;
      // None that tells of it is nothing to warn of: nodes join with their first pod.
      if (nodes && nodes->desired > 0 && nodes->ready == 0) {
        verdicts_.warned("NodesReady", say("uses a network that is ready on none of the " +
                                               std::to_string(nodes->desired) +
                                               " nodes that tell of it: a pod there waits",
                                           "", "NoNodeReady", Code::Ok));
      }
      return;
    }
    const auto* ready = network.status.conditions.find("Ready");
    std::string why = "the controller hasn't judged it yet";
    if (ready != nullptr && ready->status == k8s::ConditionStatus::True) {
      why = "the controller hasn't judged its last change yet";
    } else if (ready != nullptr) {
      why = ready->reason + (ready->message.empty() ? "" : ": " + ready->message);
    }
    verdicts_.broken("NetworkReady", say("uses a network that isn't Ready (" + why + ")",
                                         "wait until kubectl get podnetwork " +
                                             network.metadata.name + " says Ready",
                                         "NetworkNotReady", Code::FailedPrecondition));
  }

  void judgeAccess(const PodNetwork& network, const std::string& subject) {
    const auto labels = catalog_->namespaceLabels(pod_->namespaceName);
    auto refused = parts::checkAccess(network, pod_->namespaceName, labels ? &*labels : nullptr);
    if (refused) {
      refused->path = itemPath(index_);
      refused->value = item_->str();
      verdicts_.broken("NamespaceGranted", std::move(*refused));
    } else {
      verdicts_.passed("NamespaceGranted",
                       subject + "is open to namespace \"" + pod_->namespaceName + "\"");
    }
  }

  void judgeWish(const PodNetworkAttachmentSpec& wish, const PodNetwork& network) {
    if (item_->kind == RequestKind::Network) return;
    verdicts_.judge("AttachmentValid",
                    told(parts::checkAgainst(wish, network), itemPath(index_), item_->str(), "has"),
                    "the attachment asks for what its network allows");
  }

  [[nodiscard]] std::optional<ResolvedInterface> make(const PodNetworkAttachmentSpec& wish,
                                                      const PodNetwork& network,
                                                      const std::string& objectUid) {
    const bool named = !wish.interfaceName.empty();
    const std::string text = named ? *wish.interfaceName : "net" + std::to_string(index_ + 1);
    auto name = InterfaceName::parse(text);
    if (!name) {
      verdicts_.broken("InterfaceName",
                       say("has interfaceName \"" + text + "\", which is no interface's name",
                           "write a letter or digit and up to 14 of A-Z, a-z, 0-9, '.', '_' and "
                           "'-'; not lo, eth0, all or default",
                           "InvalidInterfaceName", Code::InvalidArgument));
      return std::nullopt;
    }
    verdicts_.passed("InterfaceName",
                     "the interface is " + text +
                         (named ? ", as the attachment says" : ", by its place in the request"));
    ResolvedInterface out;
    out.name = std::move(*name);
    out.item = *item_;
    out.objectUid = objectUid;
    out.network = NetworkName(network.metadata.name);
    out.networkUid = NetworkUid(network.metadata.uid);
    out.type = network.spec.type;
    out.mtu = wish.mtu ? wish.mtu : network.spec.mtu;
    out.routes = mergeRoutes(network.spec.routes, wish.routes);
    out.defaultGatewayV4 = parts::wants(wish.defaultGateway, IpFamily::V4);
    out.defaultGatewayV6 = parts::wants(wish.defaultGateway, IpFamily::V6);
    return out;
  }

  /// The attachment's route to a destination takes the place of the network's.
  [[nodiscard]] static std::vector<ResolvedRoute> mergeRoutes(
      const std::vector<Route>& network, const std::vector<Route>& attachment) {
    std::map<IpPrefix, std::optional<IpAddress>> merged;
    for (const auto* routes : {&network, &attachment}) {
      for (const Route& route : *routes) {
        const auto to = IpPrefix::parse(route.to);
        const auto via = IpAddress::parse(route.via);
        if (to) merged[*to] = via ? std::optional(*via) : std::nullopt;
      }
    }
    std::vector<ResolvedRoute> out;
    out.reserve(merged.size());
    for (const auto& [to, via] : merged) out.push_back({to, via});
    return out;
  }

  const PodSubject* pod_;
  const Catalog* catalog_;
  const RequestItem* item_;
  std::size_t index_;
  ExplainedItem* out_;
  Verdicts verdicts_;
};

/// The rules between the interfaces of one pod.
class PairJudge {
 public:
  /// `subnets`: of each item's network.
  PairJudge(Explanation& out, std::vector<std::vector<parts::TypedSubnet>> subnets)
      : out_(&out), verdicts_(out.rules, out.report), subnets_(std::move(subnets)) {}

  void run() {
    for (std::size_t i = 0; i < out_->items.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const auto& mine = out_->items[i].interface;
        const auto& other = out_->items[j].interface;
        if (mine && other) judge(i, *mine, j, *other);
      }
    }
    if (verdicts_.clean() && out_->items.size() > 1) {
      verdicts_.passed("InterfacesAgree",
                       "names, networks, routes and default gateways differ between interfaces");
    }
  }

 private:
  void judge(std::size_t i, const ResolvedInterface& mine, std::size_t j,
             const ResolvedInterface& other) {
    // Only where something is wrong: there are many pairs.
    const auto there = [&] {
      return "item " + std::to_string(j + 1) + " (" + other.item.str() + ")";
    };
    const auto say = [&](std::string detail, std::string remedy, std::string reason) {
      return Violation{itemPath(i),       mine.item.str(),   std::move(detail),
                       std::move(remedy), std::move(reason), Code::InvalidArgument};
    };
    if (mine.network == other.network) {
      verdicts_.broken("NetworkOnce",
                       say("joins network \"" + mine.network.str() + "\" again, after " + there(),
                           "ask for each network once", "NetworkTwice"));
    }
    if (mine.name == other.name) {
      verdicts_.broken(
          "InterfaceNameOnce",
          say("gets interface name \"" + mine.name.str() + "\", which " + there() + " has",
              "set another spec.interfaceName on an attachment", "DuplicateInterfaceName"));
    }
    const bool bothV4 = mine.defaultGatewayV4 && other.defaultGatewayV4;
    const bool bothV6 = mine.defaultGatewayV6 && other.defaultGatewayV6;
    if (bothV4 || bothV6) {
      const std::string families = bothV4 && bothV6 ? "IPv4 and IPv6" : bothV4 ? "IPv4" : "IPv6";
      verdicts_.broken(
          "DefaultGatewayOnce",
          say("is a second default gateway for " + families + ", beside " + there(),
              "set spec.defaultGateway on one attachment a family", "TwoDefaultGateways"));
    }
    judgeRoutes(mine, other, there, say);
    if (mine.network != other.network) judgeSubnets(subnets_[i], subnets_[j], there, say);
  }

  template <class There, class Say>
  void judgeRoutes(const ResolvedInterface& mine, const ResolvedInterface& other,
                   const There& there, const Say& say) {
    for (const auto& route : mine.routes) {
      const bool twin = std::any_of(other.routes.begin(), other.routes.end(),
                                    [&](const ResolvedRoute& r) { return r.to == route.to; });
      if (!twin) continue;
      verdicts_.broken("RouteOnce",
                       say("routes " + route.to.str() + ", which " + there() + " routes as well",
                           "route each destination over one interface", "RouteConflict"));
    }
  }

  template <class There, class Say>
  void judgeSubnets(const std::vector<parts::TypedSubnet>& mine,
                    const std::vector<parts::TypedSubnet>& others, const There& there,
                    const Say& say) {
    for (const auto& left : mine) {
      for (const auto& right : others) {
        if (!left.cidr.overlaps(right.cidr)) continue;
        Violation warning =
            say("has subnet " + left.cidr.str() + ", which overlaps " + right.cidr.str() + " of " +
                    there() + ": the pod reaches one of them only",
                "", "OverlappingSubnets");
        warning.code = Code::Ok;
        verdicts_.warned("SubnetsDiffer", std::move(warning));
      }
    }
  }

  Explanation* out_;
  Verdicts verdicts_;
  std::vector<std::vector<parts::TypedSubnet>> subnets_;  ///< by item
};

}  // namespace

Explanation explain(const PodSubject& pod, const Catalog& catalog) {
  Explanation out;
  if (!pod.request) return out;
  Verdicts verdicts(out.rules, out.report);
  if (pod.hostNetwork) {
    verdicts.broken(
        "PodNetworkNamespace",
        {"spec.hostNetwork", "true", "goes with no request for networks",
         "set it to false, or remove the annotation " + std::string(kNetworksAnnotation),
         "HostNetwork", Code::InvalidArgument});
  }
  const auto request = parseRequest(*pod.request);
  if (!request) {
    verdicts.judge("RequestSyntax", {request.error(), {}}, "");
    verdicts.skipped("Networks", "not looked at until the request can be read");
    return out;
  }
  verdicts.passed("RequestSyntax", "the request names " + std::to_string(request->items.size()) +
                                       (request->items.size() == 1 ? " item" : " items"));
  std::vector<std::vector<parts::TypedSubnet>> subnets;
  for (std::size_t i = 0; i < request->items.size(); ++i) {
    ExplainedItem item{request->items[i].str(), {}, std::nullopt};
    subnets.push_back(ItemJudge(pod, catalog, request->items[i], i, item, out.report).run());
    out.items.push_back(std::move(item));
  }
  PairJudge(out, std::move(subnets)).run();
  return out;
}

tl::expected<std::vector<ResolvedInterface>, Violations> resolve(const PodSubject& pod,
                                                                 const Catalog& catalog) {
  Explanation explanation = explain(pod, catalog);
  if (!explanation.report.ok()) return tl::unexpected(std::move(explanation.report.violations));
  std::vector<ResolvedInterface> out;
  for (auto& item : explanation.items) {
    if (item.interface) out.push_back(std::move(*item.interface));
  }
  return out;
}

}  // namespace multinet::api
