package main

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const (
	nodes = 50
	// Pods, and attachments, of each network.
	perNetwork = 20
	namespace  = "default"
	firstVNI   = 100000
	atOnce     = 8
)

var (
	networks    = metav1.GroupVersionResource{Group: "multinet.dev", Version: "v1alpha1", Resource: "podnetworks"}
	attachments = ours("podnetworkattachments")
	reports     = ours("nodenetworksets")
	sets        = ours("podinterfacesets")
	blocks      = ours("ipblocks")
	coreNodes   = metav1.GroupVersionResource{Version: "v1", Resource: "nodes"}
	pods        = metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
)

func ours(plural string) metav1.GroupVersionResource {
	return metav1.GroupVersionResource{Group: networks.Group, Version: networks.Version, Resource: plural}
}

func resourceOf(kind metav1.GroupVersionResource) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Resource}
}

type object = map[string]any

// filler makes objects, several at once.
type filler struct {
	server dynamic.Interface
	uids   sync.Map // of networks, by number
}

func (f *filler) create(ctx context.Context, kind metav1.GroupVersionResource, namespace, kindName, name string,
	fields object) (*unstructured.Unstructured, error) {
	version := kind.Version
	if kind.Group != "" {
		version = kind.Group + "/" + kind.Version
	}
	made := object{"apiVersion": version, "kind": kindName}
	metadata, _ := fields["metadata"].(object)
	if metadata == nil {
		metadata = object{}
	}
	metadata["name"] = name
	for key, value := range fields {
		made[key] = value
	}
	made["metadata"] = metadata
	resource := f.server.Resource(resourceOf(kind))
	if namespace != "" {
		return resource.Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: made}, metav1.CreateOptions{})
	}
	return resource.Create(ctx, &unstructured.Unstructured{Object: made}, metav1.CreateOptions{})
}

// each calls make for the numbers from..to-1, several at once; the first error ends it.
func each(ctx context.Context, from, to int, work func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				if err := work(ctx, number); err != nil {
					cancel(err)
				}
			}
		}()
	}
	for number := from; number < to && ctx.Err() == nil; number++ {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
	return context.Cause(ctx)
}

func nodeName(i int) string    { return fmt.Sprintf("bench-%d", i%nodes) }
func networkName(i int) string { return fmt.Sprintf("net-%d", i) }

// grow makes what there is of `to` pods where there is what there is of `from`.
func (f *filler) grow(ctx context.Context, from, to int) error {
	if from == 0 {
		if err := each(ctx, 0, nodes, f.node); err != nil {
			return err
		}
	}
	first, last := (from+perNetwork-1)/perNetwork, (to+perNetwork-1)/perNetwork
	if err := each(ctx, first, last, f.network); err != nil {
		return err
	}
	if err := each(ctx, 0, nodes, func(ctx context.Context, i int) error { return f.report(ctx, i, last) }); err != nil {
		return err
	}
	return each(ctx, from, to, f.pod)
}

func (f *filler) node(ctx context.Context, i int) error {
	if _, err := f.create(ctx, coreNodes, "", "Node", nodeName(i), object{}); err != nil {
		return err
	}
	_, err := f.create(ctx, reports, "", "NodeNetworkSet", nodeName(i), object{"spec": object{"nodeName": nodeName(i)}})
	return err
}

func (f *filler) network(ctx context.Context, i int) error {
	second, third := int64(64+i/256), int64(i%256)
	made, err := f.create(ctx, networks, "", "PodNetwork", networkName(i), object{"spec": object{
		"type":   "VXLAN",
		"vxlan":  object{"vni": int64(firstVNI + i)},
		"access": object{"namespaces": object{"from": "All"}},
		"ipam": object{"subnets": []any{object{
			"cidr": fmt.Sprintf("10.%d.%d.0/24", second, third), "gateway": fmt.Sprintf("10.%d.%d.1", second, third),
			"blockSize": int64(26),
		}}},
	}})
	if err != nil {
		return err
	}
	f.uids.Store(i, string(made.GetUID()))
	name := fmt.Sprintf("%s-v4-0a%02x%02x00-26", networkName(i), second, third)
	_, err = f.create(ctx, blocks, "", "IPBlock", name, object{"spec": object{
		"podNetworkName": networkName(i), "podNetworkUID": string(made.GetUID()),
		"cidr": fmt.Sprintf("10.%d.%d.0/26", second, third), "nodeName": nodeName(i),
	}})
	return err
}

// report is what a node says of the networks that its pods have.
func (f *filler) report(ctx context.Context, i, networkCount int) error {
	said := []any{}
	for network := i; network < networkCount; network += nodes {
		uid, _ := f.uids.Load(network)
		said = append(said, object{"podNetworkName": networkName(network), "podNetworkUID": uid, "conditions": []any{object{
			"type": "Ready", "status": "True", "reason": "Serving", "message": "Pods can be attached.",
			"lastTransitionTime": "2026-01-01T00:00:00Z",
		}}})
	}
	body, err := (&unstructured.Unstructured{Object: object{"apiVersion": "multinet.dev/v1alpha1", "kind": "NodeNetworkSet",
		"status": object{"networks": said}}}).MarshalJSON()
	if err != nil {
		return err
	}
	_, err = f.server.Resource(resourceOf(reports)).Patch(ctx, nodeName(i), types.MergePatchType, body,
		metav1.PatchOptions{}, "status")
	return err
}

// pod with an attachment of its own and what its node reports of it.
func (f *filler) pod(ctx context.Context, i int) error {
	network := i / perNetwork
	attachment := fmt.Sprintf("attachment-%d", i)
	if err := f.attachment(ctx, attachment, network); err != nil {
		return err
	}
	name := fmt.Sprintf("web-7d9c5b8f6d-%05d", i)
	pod, err := f.create(ctx, pods, namespace, "Pod", name, podFields("attachment/"+attachment, nodeName(network)))
	if err != nil {
		return err
	}
	uid, _ := f.uids.Load(network)
	_, err = f.create(ctx, sets, namespace, "PodInterfaceSet", fmt.Sprintf("%s-%.8s", name, pod.GetUID()), object{
		"pod": object{"name": name, "uid": string(pod.GetUID())}, "nodeName": nodeName(network), "sandboxID": "f00d",
		"interfaces": []any{object{
			"name": "net1", "podNetworkName": networkName(network), "podNetworkUID": uid, "attachmentName": attachment,
			"type": "VXLAN", "mac": "02:00:00:00:00:01", "mtu": int64(1450),
			"ips": []any{object{"address": fmt.Sprintf("10.%d.%d.%d/24", 64+network/256, network%256, 2+i%perNetwork),
				"family": "IPv4"}},
		}},
	})
	return err
}

func (f *filler) attachment(ctx context.Context, name string, network int) error {
	_, err := f.create(ctx, attachments, namespace, "PodNetworkAttachment", name,
		object{"spec": object{"podNetworkName": networkName(network)}})
	return err
}

// judge writes what a controller would: one request and nothing else.
func (f *filler) judge(ctx context.Context, attachment *unstructured.Unstructured) error {
	body, err := (&unstructured.Unstructured{Object: object{
		"apiVersion": attachment.GetAPIVersion(), "kind": attachment.GetKind(),
		"metadata": object{"uid": string(attachment.GetUID()), "resourceVersion": attachment.GetResourceVersion()},
		"status": object{"attachedPods": int64(0), "conditions": []any{object{
			"type": "Ready", "status": "True", "reason": "Accepted", "observedGeneration": attachment.GetGeneration(),
			"message":            "Pods of this namespace can use the attachment.",
			"lastTransitionTime": "2026-01-01T00:00:00Z",
		}}},
	}}).MarshalJSON()
	if err != nil {
		return err
	}
	_, err = f.server.Resource(resourceOf(attachments)).Namespace(namespace).Patch(ctx, attachment.GetName(),
		types.MergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

func (f *filler) removeAttachment(ctx context.Context, name string) error {
	return f.server.Resource(resourceOf(attachments)).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

// podFields of a pod as a Deployment makes them: most of it isn't about networks.
func podFields(request, node string) object {
	probe := object{"httpGet": object{"path": "/healthz", "port": int64(8080), "scheme": "HTTP"},
		"initialDelaySeconds": int64(5), "periodSeconds": int64(10), "timeoutSeconds": int64(1)}
	environment := []any{}
	for _, name := range []string{"DATABASE_URL", "CACHE_URL", "LOG_LEVEL", "REGION", "FEATURES", "WORKERS"} {
		environment = append(environment, object{"name": name, "value": "a-value-of-the-usual-length-for-" + name})
	}
	return object{
		"metadata": object{
			"labels": object{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web-production",
				"app.kubernetes.io/part-of": "shop", "pod-template-hash": "7d9c5b8f6d"},
			"annotations": object{networksAnnotation: request, "checksum/config": "3f786850e387550fdab836ed7e6dc881de23001b"},
		},
		"spec": object{
			"nodeName":       node,
			"readinessGates": []any{object{"conditionType": "multinet.dev/networks-ready"}},
			"containers": []any{object{
				"name": "web", "image": "registry.example/shop/web:1.2.3", "imagePullPolicy": "IfNotPresent",
				"env": environment, "livenessProbe": probe, "readinessProbe": probe,
				"ports": []any{object{"name": "http", "containerPort": int64(8080), "protocol": "TCP"}},
				"resources": object{"requests": object{"cpu": "100m", "memory": "128Mi"},
					"limits": object{"memory": "256Mi"}},
				"volumeMounts": []any{object{"name": "configuration", "mountPath": "/etc/web"}},
			}},
			"volumes":     []any{object{"name": "configuration", "configMap": object{"name": "web"}}},
			"tolerations": []any{object{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}},
		},
	}
}

const networksAnnotation = "multinet.dev/networks"
