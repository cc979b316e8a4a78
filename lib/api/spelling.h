// How the API spells the enums of our kinds; those of PodNetwork stand beside it.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/pod_network_policy.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/reservations.h"
#include "lib/k8s/describe.h"

namespace multinet::k8s {

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
inline constexpr std::array kSpellings<api::ServiceType>{
    std::pair{api::ServiceType::ClusterIP, std::string_view("ClusterIP")},
    std::pair{api::ServiceType::NodePort, std::string_view("NodePort")},
    std::pair{api::ServiceType::LoadBalancer, std::string_view("LoadBalancer")},
    std::pair{api::ServiceType::ExternalName, std::string_view("ExternalName")},
};
template <>
inline constexpr std::array kSpellings<api::FamilyPolicy>{
    std::pair{api::FamilyPolicy::SingleStack, std::string_view("SingleStack")},
    std::pair{api::FamilyPolicy::PreferDualStack, std::string_view("PreferDualStack")},
    std::pair{api::FamilyPolicy::RequireDualStack, std::string_view("RequireDualStack")},
};
template <>
inline constexpr std::array kSpellings<api::TrafficPolicy>{
    std::pair{api::TrafficPolicy::Cluster, std::string_view("Cluster")},
    std::pair{api::TrafficPolicy::Local, std::string_view("Local")},
};
template <>
inline constexpr std::array kSpellings<api::SessionAffinity>{
    std::pair{api::SessionAffinity::None, std::string_view("None")},
    std::pair{api::SessionAffinity::ClientIP, std::string_view("ClientIP")},
};
template <>
inline constexpr std::array kSpellings<api::TrafficDistribution>{
    std::pair{api::TrafficDistribution::PreferClose, std::string_view("PreferClose")},
    std::pair{api::TrafficDistribution::PreferSameZone, std::string_view("PreferSameZone")},
    std::pair{api::TrafficDistribution::PreferSameNode, std::string_view("PreferSameNode")},
};
template <>
inline constexpr std::array kSpellings<api::TerminationHold>{
    std::pair{api::TerminationHold::Auto, std::string_view("Auto")},
    std::pair{api::TerminationHold::Off, std::string_view("Off")},
};
template <>
inline constexpr std::array kSpellings<api::HttpScheme>{
    std::pair{api::HttpScheme::HTTP, std::string_view("HTTP")},
    std::pair{api::HttpScheme::HTTPS, std::string_view("HTTPS")},
};
template <>
inline constexpr std::array kSpellings<api::Reach>{
    std::pair{api::Reach::Network, std::string_view("Network")},
    std::pair{api::Reach::Cluster, std::string_view("Cluster")},
};
template <>
inline constexpr std::array kSpellings<api::Protocol>{
    std::pair{api::Protocol::TCP, std::string_view("TCP")},
    std::pair{api::Protocol::UDP, std::string_view("UDP")},
    std::pair{api::Protocol::SCTP, std::string_view("SCTP")},
};
template <>
inline constexpr std::array kSpellings<api::PolicyType>{
    std::pair{api::PolicyType::Ingress, std::string_view("Ingress")},
    std::pair{api::PolicyType::Egress, std::string_view("Egress")},
};
template <>
inline constexpr std::array kSpellings<api::ClusterPolicyTier>{
    std::pair{api::ClusterPolicyTier::Admin, std::string_view("Admin")},
    std::pair{api::ClusterPolicyTier::Baseline, std::string_view("Baseline")},
};
template <>
inline constexpr std::array kSpellings<api::ClusterPolicyAction>{
    std::pair{api::ClusterPolicyAction::Accept, std::string_view("Accept")},
    std::pair{api::ClusterPolicyAction::Deny, std::string_view("Deny")},
    std::pair{api::ClusterPolicyAction::Pass, std::string_view("Pass")},
};
template <>
inline constexpr std::array kSpellings<api::PolicyPlace>{
    std::pair{api::PolicyPlace::None, std::string_view("None")},
    std::pair{api::PolicyPlace::Node, std::string_view("Node")},
    std::pair{api::PolicyPlace::Pod, std::string_view("Pod")},
};
template <>
inline constexpr std::array kSpellings<api::IdentifierKind>{
    std::pair{api::IdentifierKind::Vxlan, std::string_view("VXLAN")},
};

}  // namespace multinet::k8s
