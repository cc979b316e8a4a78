#include "nodeagent/journal/record.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace multinet::agent::journal {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

std::int64_t nanoseconds(WallTime time) {
  return time.time_since_epoch().count();
}

// Items that have a name, by it.
Json byName(const Json& list) {
  Json named = Json::object();
  for (const Json& item : list) {
    if (!item.is_object()) continue;
    const auto at = item.find("name");
    if (at != item.end() && at->is_string()) named[at->get<std::string>()] = item;
  }
  return named;
}

Json encodeInterface(const InterfaceStatus& status) {
  const InterfacePlan& plan = status.plan;
  Json addresses = Json::array();
  for (const AddressPlan& address : plan.addresses) {
    Json entry{{"address", address.address.str()}};
    if (address.gateway.has_value()) entry["gateway"] = address.gateway->str();
    addresses.push_back(std::move(entry));
  }
  Json routes = Json::array();
  for (const RoutePlan& route : plan.routes) {
    Json entry{{"to", route.to.str()}};
    if (route.via.has_value()) entry["via"] = route.via->str();
    routes.push_back(std::move(entry));
  }
  Json clusterPrefixes = Json::array();
  for (const IpPrefix& prefix : plan.clusterPrefixes) clusterPrefixes.push_back(prefix.str());
  Json json{{"name", plan.name.str()},
            {"network", plan.network.str()},
            {"networkUID", plan.networkUid.str()},
            {"attachment", plan.attachment},
            {"type", api::name(typeOf(plan.link))},
            // Earlier versions look for one in every record, whatever its type.
            {"macvlanMode", api::name(api::MacvlanMode::Bridge)},
            {"mac", plan.mac.str()},
            {"mtu", plan.mtu},
            {"addresses", std::move(addresses)},
            {"routes", std::move(routes)},
            {"defaultGatewayV4", plan.defaultGatewayV4},
            {"defaultGatewayV6", plan.defaultGatewayV6},
            {"clusterPrefixes", std::move(clusterPrefixes)},
            {"state", name(status.state)},
            {"ifindex", status.ifindex},
            {"reason", status.reason},
            {"message", status.message},
            {"attachedAt", nanoseconds(status.attachedAt)},
            {"link", name(status.link)},
            {"portSecured", status.secured.holds},
            {"portSecurity", status.secured.reason},
            {"portSecurityMessage", status.secured.message}};
  const auto form = std::visit([](const auto& link) { return link.form(); }, plan.link);
  for (const auto& [key, value] : form) json[key] = value;
  return json;
}

constexpr std::array kDoubts = {Doubt::None, Doubt::Unseen, Doubt::NoLinks, Doubt::Unconfirmed};

// What `all` has and `known` hasn't, objects inside objects too; list items are told by name.
Json beyond(const Json& all, const Json& known) {
  Json rest = Json::object();
  const auto keep = [&rest](const std::string& key, Json more) {
    if (!more.empty()) rest[key] = std::move(more);
  };
  for (const auto& [key, value] : all.items()) {
    const auto at = known.find(key);
    if (at == known.end()) {
      rest[key] = value;
    } else if (value.is_object() && at->is_object()) {
      keep(key, beyond(value, *at));
    } else if (value.is_array() && at->is_array()) {
      keep(key, beyond(byName(value), byName(*at)));
    }
  }
  return rest;
}

void addTo(Json& known, const Json& rest) {
  for (const auto& [key, value] : rest.items()) {
    const auto at = known.find(key);
    if (at == known.end()) {
      known[key] = value;
    } else if (at->is_object() && value.is_object()) {
      addTo(*at, value);
    } else if (at->is_array() && value.is_object()) {
      for (Json& item : *at) {
        const auto more = item.is_object() ? value.find(item.value("name", "")) : value.end();
        if (more != value.end() && more->is_object()) addTo(item, *more);
      }
    }
  }
}

tl::unexpected<Error> bad(const std::string& detail) {
  return fail(Code::DataLoss, "BadRecord", "read journal record: " + detail);
}

// A member of the type of `otherwise`; what is missing or of another type has that value.
template <class T>
T member(const Json& json, const char* key, T otherwise) {
  const auto found = json.find(key);
  if (found == json.end()) return otherwise;
  if constexpr (std::is_same_v<T, bool>) {
    return found->is_boolean() ? found->template get<bool>() : otherwise;
  } else if constexpr (std::is_arithmetic_v<T>) {
    return found->is_number_integer() ? found->template get<T>() : otherwise;
  } else {
    return found->is_string() ? found->template get<std::string>() : otherwise;
  }
}

std::string text(const Json& json, const char* key) {
  return member(json, key, std::string());
}

WallTime time(const Json& json, const char* key) {
  return WallTime(Duration(member<std::int64_t>(json, key, 0)));
}

const Json& list(const Json& json, const char* key) {
  static const Json kEmpty = Json::array();
  const auto found = json.find(key);
  return found != json.end() && found->is_array() ? *found : kEmpty;
}

Result<std::optional<IpAddress>> optionalAddress(const Json& json, const char* key) {
  const std::string value = text(json, key);
  if (value.empty()) return std::nullopt;
  MULTINET_TRY(const IpAddress address, IpAddress::parse(value));
  return address;
}

Status decodeAddresses(const Json& json, InterfacePlan& plan) {
  for (const Json& entry : list(json, "addresses")) {
    AddressPlan address;
    MULTINET_TRY(address.address, InterfaceAddress::parse(text(entry, "address")));
    MULTINET_TRY(address.gateway, optionalAddress(entry, "gateway"));
    plan.addresses.push_back(address);
  }
  for (const Json& entry : list(json, "routes")) {
    RoutePlan route;
    MULTINET_TRY(route.to, IpPrefix::parse(text(entry, "to")));
    MULTINET_TRY(route.via, optionalAddress(entry, "via"));
    plan.routes.push_back(route);
  }
  return {};
}

Status decodeDefaultGateway(const Json& json, InterfacePlan& plan) {
  plan.defaultGatewayV4 = member(json, "defaultGatewayV4", false);
  plan.defaultGatewayV6 = member(json, "defaultGatewayV6", false);
  for (const Json& entry : list(json, "clusterPrefixes")) {
    if (!entry.is_string()) return bad("an entry of clusterPrefixes is no string");
    MULTINET_TRY(const IpPrefix prefix, IpPrefix::parse(entry.get<std::string>()));
    plan.clusterPrefixes.push_back(prefix);
  }
  return {};
}

/// What is text of it: all that a type keeps there.
drivers::LinkForm formOf(const Json& json) {
  drivers::LinkForm form;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) form.emplace(key, value.get<std::string>());
  }
  return form;
}

InterfaceState parseState(std::string_view text) {
  for (const auto state :
       {InterfaceState::Pending, InterfaceState::Attached, InterfaceState::Failed}) {
    if (text == name(state)) return state;
  }
  return InterfaceState::Pending;
}

LinkState parseLinkState(std::string_view text) {
  for (const auto state : {LinkState::Up, LinkState::Down}) {
    if (text == name(state)) return state;
  }
  return LinkState::Unknown;
}

Result<InterfaceStatus> decodeInterface(const Json& json) {
  if (!json.is_object()) return bad("interface is no object");
  InterfaceStatus status;
  InterfacePlan& plan = status.plan;
  MULTINET_TRY(plan.name, InterfaceName::parse(text(json, "name")));
  plan.network = NetworkName(text(json, "network"));
  plan.networkUid = NetworkUid(text(json, "networkUID"));
  plan.attachment = text(json, "attachment");
  MULTINET_TRY(plan.link, linkOfForm(text(json, "type"), formOf(json)));
  MULTINET_TRY(plan.mac, MacAddress::parse(text(json, "mac")));
  plan.mtu = member<unsigned>(json, "mtu", 0);
  MULTINET_CHECK(decodeAddresses(json, plan));
  MULTINET_CHECK(decodeDefaultGateway(json, plan));
  status.state = parseState(text(json, "state"));
  status.ifindex = member(json, "ifindex", 0);
  status.reason = text(json, "reason");
  status.message = text(json, "message");
  status.attachedAt = time(json, "attachedAt");
  status.link = parseLinkState(text(json, "link"));
  status.secured = {member(json, "portSecured", false), text(json, "portSecurity"),
                    text(json, "portSecurityMessage")};
  return status;
}

}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::Intent:
      return "INTENT";
    case State::Bound:
      return "BOUND";
    case State::Attached:
      return "ATTACHED";
    case State::Detaching:
      return "DETACHING";
    case State::Detached:
      return "DETACHED";
    case State::Rollback:
      return "ROLLBACK";
  }
  return "";
}

std::string_view name(Doubt doubt) {
  switch (doubt) {
    case Doubt::None:
      return "";
    case Doubt::Unseen:
      return "Unseen";
    case Doubt::NoLinks:
      return "NoLinks";
    case Doubt::Unconfirmed:
      return "Unconfirmed";
  }
  return "";
}

bool isReleased(const Record& record) {
  return record.state == State::Detached ||
         (record.state == State::Rollback && record.quarantinedUntil != BootTime{});
}

Duration quarantineLeft(const Record& record, const std::string& bootId, BootTime now,
                        Duration quarantine) {
  if (record.bootId != bootId || record.quarantinedUntil == BootTime{}) return quarantine;
  return std::clamp(Duration(record.quarantinedUntil - now), Duration{}, quarantine);
}

namespace {
Json encodeKnown(const Record& record) {
  Json interfaces = Json::array();
  for (const InterfaceStatus& status : record.interfaces) {
    interfaces.push_back(encodeInterface(status));
  }
  return Json{{"format", kFormat},
              {"id", record.id.str()},
              {"pod",
               {{"uid", record.pod.uid.str()},
                {"namespace", record.pod.namespaceName},
                {"name", record.pod.name},
                {"attempt", record.pod.attempt}}},
              {"sandbox", record.sandbox.str()},
              {"state", static_cast<int>(record.state)},
              {"bootID", record.bootId},
              {"interfaces", std::move(interfaces)},
              {"changedAt", nanoseconds(record.changedAt)},
              {"restsUntil", record.quarantinedUntil.time_since_epoch().count()},
              {"doubt", name(record.doubt)},
              {"rollbackFailed", record.rollbackFailed},
              {"message", record.message}};
}
}  // namespace

std::string encode(const Record& record) {
  Json json = encodeKnown(record);
  if (!record.unknown.empty()) {
    const Json rest = Json::parse(record.unknown, nullptr, false);
    if (rest.is_object()) addTo(json, rest);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Record> decode(std::string_view bytes) {
  const Json json = Json::parse(bytes, nullptr, false);
  if (!json.is_object()) return bad("it is no JSON object");
  const int format = member(json, "format", 0);
  if (format < 1 || format > kFormat + 1) {
    return bad("its format is " + std::to_string(format) + ", this program reads up to " +
               std::to_string(kFormat + 1));
  }
  Record record;
  record.id = IntentId(text(json, "id"));
  if (record.id.empty()) return bad("it has no id");
  const auto pod = json.find("pod");
  if (pod == json.end() || !pod->is_object()) return bad(record.id.str() + " has no pod");
  record.pod = {PodUid(text(*pod, "uid")), text(*pod, "namespace"), text(*pod, "name"),
                member<std::uint32_t>(*pod, "attempt", 0)};
  record.sandbox = SandboxId(text(json, "sandbox"));
  const int state = member(json, "state", 0);
  if (state < static_cast<int>(State::Intent) || state > static_cast<int>(State::Rollback)) {
    return bad(record.id.str() + " has the unknown state " + std::to_string(state));
  }
  record.state = static_cast<State>(state);
  record.bootId = text(json, "bootID");
  for (const Json& entry : list(json, "interfaces")) {
    auto status = decodeInterface(entry);
    if (!status.has_value()) return bad(record.id.str() + ": " + status.error().message);
    record.interfaces.push_back(std::move(*status));
  }
  record.changedAt = time(json, "changedAt");
  record.quarantinedUntil = BootTime(Duration(member<std::int64_t>(json, "restsUntil", 0)));
  const std::string doubt = text(json, "doubt");
  const auto* known = std::find_if(kDoubts.begin(), kDoubts.end(),
                                   [&doubt](Doubt one) { return name(one) == doubt; });
  record.doubt = known == kDoubts.end() ? Doubt::Unseen : *known;
  if (record.state == State::Attached && record.interfaces.empty() && record.doubt == Doubt::None) {
    record.doubt = Doubt::Unseen;
  }
  record.rollbackFailed = member(json, "rollbackFailed", false);
  record.message = text(json, "message");
  const Json rest = beyond(json, encodeKnown(record));
  if (!rest.empty()) record.unknown = rest.dump(-1, ' ', false, Json::error_handler_t::replace);
  return record;
}

}  // namespace multinet::agent::journal
