package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
)

var groupVersion = schema.GroupVersion{Group: "multinet.dev", Version: "v1alpha1"}

// +kubebuilder:object:generate=true

type Subnet struct {
	CIDR      string   `json:"cidr"`
	Gateway   string   `json:"gateway,omitempty"`
	Exclude   []string `json:"exclude,omitempty"`
	BlockSize *int32   `json:"blockSize,omitempty"`
}

// +kubebuilder:object:generate=true

type IPAM struct {
	Subnets []Subnet `json:"subnets,omitempty"`
}

// +kubebuilder:object:generate=true

type Underlay struct {
	Interface string `json:"interface,omitempty"`
}

// +kubebuilder:object:generate=true

type VXLAN struct {
	VNI      *int32    `json:"vni,omitempty"`
	Port     *int32    `json:"port,omitempty"`
	Underlay *Underlay `json:"underlay,omitempty"`
}

// +kubebuilder:object:generate=true

type NamespaceAccess struct {
	From     string                `json:"from,omitempty"`
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// +kubebuilder:object:generate=true

type Access struct {
	Namespaces NamespaceAccess `json:"namespaces,omitempty"`
}

// +kubebuilder:object:generate=true

type Allow struct {
	DefaultGateway bool `json:"defaultGateway,omitempty"`
	Routes         bool `json:"routes,omitempty"`
}

// +kubebuilder:object:generate=true

type Route struct {
	To  string `json:"to"`
	Via string `json:"via,omitempty"`
}

// +kubebuilder:object:generate=true

type PodNetworkSpec struct {
	Enabled *bool   `json:"enabled,omitempty"`
	Join    string  `json:"join,omitempty"`
	Type    string  `json:"type"`
	VXLAN   *VXLAN  `json:"vxlan,omitempty"`
	MTU     *int32  `json:"mtu,omitempty"`
	IPAM    IPAM    `json:"ipam,omitempty"`
	Routes  []Route `json:"routes,omitempty"`
	Access  Access  `json:"access,omitempty"`
	Allow   Allow   `json:"allow,omitempty"`
}

// +kubebuilder:object:generate=true

type NodeCounts struct {
	Desired int32 `json:"desired"`
	Ready   int32 `json:"ready"`
}

// +kubebuilder:object:generate=true

type PodNetworkStatus struct {
	Conditions   []metav1.Condition `json:"conditions,omitempty"`
	VNI          *int32             `json:"vni,omitempty"`
	Nodes        *NodeCounts        `json:"nodes,omitempty"`
	AttachedPods *int32             `json:"attachedPods,omitempty"`
	Blockers     []string           `json:"blockers,omitempty"`
}

// +kubebuilder:object:root=true

type PodNetwork struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PodNetworkSpec   `json:"spec"`
	Status            PodNetworkStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true

type PodNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodNetwork `json:"items"`
}

// +kubebuilder:object:generate=true

type AttachmentSpec struct {
	PodNetworkName string  `json:"podNetworkName"`
	InterfaceName  string  `json:"interfaceName,omitempty"`
	MTU            *int32  `json:"mtu,omitempty"`
	Routes         []Route `json:"routes,omitempty"`
	DefaultGateway string  `json:"defaultGateway,omitempty"`
}

// +kubebuilder:object:generate=true

type AttachmentStatus struct {
	Conditions   []metav1.Condition `json:"conditions,omitempty"`
	AttachedPods *int32             `json:"attachedPods,omitempty"`
}

// +kubebuilder:object:root=true

type PodNetworkAttachment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              AttachmentSpec   `json:"spec"`
	Status            AttachmentStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true

type PodNetworkAttachmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodNetworkAttachment `json:"items"`
}

// +kubebuilder:object:generate=true

type PodReference struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// +kubebuilder:object:generate=true

type PodAddress struct {
	Address string `json:"address"`
	Gateway string `json:"gateway,omitempty"`
	Family  string `json:"family"`
}

// +kubebuilder:object:generate=true

type PodInterface struct {
	Name           string       `json:"name"`
	PodNetworkName string       `json:"podNetworkName"`
	PodNetworkUID  string       `json:"podNetworkUID,omitempty"`
	AttachmentName string       `json:"attachmentName,omitempty"`
	Type           string       `json:"type"`
	MAC            string       `json:"mac,omitempty"`
	MTU            int32        `json:"mtu,omitempty"`
	IPs            []PodAddress `json:"ips,omitempty"`
}

// +kubebuilder:object:root=true

type PodInterfaceSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Pod               PodReference   `json:"pod"`
	NodeName          string         `json:"nodeName"`
	SandboxID         string         `json:"sandboxID,omitempty"`
	Interfaces        []PodInterface `json:"interfaces,omitempty"`
}

// +kubebuilder:object:root=true

type PodInterfaceSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodInterfaceSet `json:"items"`
}

// +kubebuilder:object:generate=true

type NodeNetwork struct {
	PodNetworkName string             `json:"podNetworkName"`
	PodNetworkUID  string             `json:"podNetworkUID,omitempty"`
	Conditions     []metav1.Condition `json:"conditions,omitempty"`
}

// +kubebuilder:object:generate=true

type NodeNetworkSetSpec struct {
	NodeName string `json:"nodeName"`
}

// +kubebuilder:object:generate=true

type NodeNetworkSetStatus struct {
	Networks []NodeNetwork `json:"networks,omitempty"`
}

// +kubebuilder:object:root=true

type NodeNetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              NodeNetworkSetSpec   `json:"spec"`
	Status            NodeNetworkSetStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true

type NodeNetworkSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeNetworkSet `json:"items"`
}

// +kubebuilder:object:root=true

type NetworkPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	PodNetworkName    string   `json:"podNetworkName"`
	PodNetworkUID     string   `json:"podNetworkUID"`
	NodeName          string   `json:"nodeName"`
	UnderlayIPs       []string `json:"underlayIPs,omitempty"`
	BridgeMAC         string   `json:"bridgeMAC,omitempty"`
}

// +kubebuilder:object:root=true

type NetworkPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkPeer `json:"items"`
}

// +kubebuilder:object:generate=true

type IPBlockSpec struct {
	PodNetworkName string `json:"podNetworkName"`
	PodNetworkUID  string `json:"podNetworkUID"`
	CIDR           string `json:"cidr"`
	NodeName       string `json:"nodeName"`
}

// +kubebuilder:object:root=true

type IPBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              IPBlockSpec `json:"spec"`
}

// +kubebuilder:object:root=true

type IPBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPBlock `json:"items"`
}

// +kubebuilder:object:generate=true

type NetworkIdentifierSpec struct {
	Kind           string `json:"kind"`
	ID             int64  `json:"id"`
	PodNetworkName string `json:"podNetworkName"`
	PodNetworkUID  string `json:"podNetworkUID"`
}

// +kubebuilder:object:root=true

type NetworkIdentifier struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              NetworkIdentifierSpec `json:"spec"`
}

// +kubebuilder:object:root=true

type NetworkIdentifierList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkIdentifier `json:"items"`
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		panic(err)
	}
	scheme.AddKnownTypes(groupVersion,
		&PodNetwork{}, &PodNetworkList{}, &PodNetworkAttachment{}, &PodNetworkAttachmentList{},
		&PodInterfaceSet{}, &PodInterfaceSetList{}, &NodeNetworkSet{}, &NodeNetworkSetList{},
		&NetworkPeer{}, &NetworkPeerList{}, &IPBlock{}, &IPBlockList{},
		&NetworkIdentifier{}, &NetworkIdentifierList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return scheme
}
