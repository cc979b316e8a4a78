// How the API spells our enums.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "lib/api/pod_interface_set.h"
#include "lib/api/reservations.h"
#include "lib/k8s/describe.h"

namespace multinet::k8s {

template <>
inline constexpr std::array kSpellings<api::NetworkType>{
    std::pair{api::NetworkType::Vxlan, std::string_view("VXLAN")},
    std::pair{api::NetworkType::Bridge, std::string_view("Bridge")},
    std::pair{api::NetworkType::Macvlan, std::string_view("Macvlan")},
};
template <>
inline constexpr std::array kSpellings<api::BridgeMode>{
    std::pair{api::BridgeMode::Own, std::string_view("Own")},
    std::pair{api::BridgeMode::Existing, std::string_view("Existing")},
};
template <>
inline constexpr std::array kSpellings<api::MacvlanMode>{
    std::pair{api::MacvlanMode::Bridge, std::string_view("Bridge")},
    std::pair{api::MacvlanMode::Private, std::string_view("Private")},
    std::pair{api::MacvlanMode::Vepa, std::string_view("VEPA")},
    std::pair{api::MacvlanMode::Passthru, std::string_view("Passthru")},
};
template <>
inline constexpr std::array kSpellings<api::AccessFrom>{
    std::pair{api::AccessFrom::None, std::string_view("None")},
    std::pair{api::AccessFrom::All, std::string_view("All")},
    std::pair{api::AccessFrom::Selector, std::string_view("Selector")},
};
template <>
inline constexpr std::array kSpellings<api::DefaultGateway>{
    std::pair{api::DefaultGateway::None, std::string_view("None")},
    std::pair{api::DefaultGateway::IPv4, std::string_view("IPv4")},
    std::pair{api::DefaultGateway::IPv6, std::string_view("IPv6")},
    std::pair{api::DefaultGateway::Dual, std::string_view("Dual")},
};
template <>
inline constexpr std::array kSpellings<api::LinkState>{
    std::pair{api::LinkState::Up, std::string_view("Up")},
    std::pair{api::LinkState::Down, std::string_view("Down")},
    std::pair{api::LinkState::Unknown, std::string_view("Unknown")},
};
template <>
inline constexpr std::array kSpellings<api::AddressFamily>{
    std::pair{api::AddressFamily::IPv4, std::string_view("IPv4")},
    std::pair{api::AddressFamily::IPv6, std::string_view("IPv6")},
};
template <>
inline constexpr std::array kSpellings<api::IdentifierKind>{
    std::pair{api::IdentifierKind::Vxlan, std::string_view("VXLAN")},
};

}  // namespace multinet::k8s
