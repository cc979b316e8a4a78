package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	resolvedAnnotation = "multinet.dev/resolved"
	readyGate          = "multinet.dev/networks-ready"
	mostInterfaces     = 16
)

func runWebhook(given options) error {
	host, port, err := net.SplitHostPort(given.listen)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	manager, err := newManager(given, func(chosen *ctrl.Options) {
		chosen.WebhookServer = webhook.NewServer(webhook.Options{Host: host, Port: number, CertDir: given.certDir})
	})
	if err != nil {
		return err
	}
	own := manager.GetClient()
	// The caches are filled before the first review, not by it.
	for _, object := range []client.Object{&PodNetwork{}, &PodNetworkAttachment{}, &corev1.Namespace{}} {
		if _, err := manager.GetCache().GetInformer(ctx, object); err != nil {
			return err
		}
	}
	mutator := &podMutator{own, admission.NewDecoder(manager.GetScheme())}
	manager.GetWebhookServer().Register("/mutate", &webhook.Admission{Handler: mutator})
	return manager.Start(ctx)
}

// podMutator writes into a pod what its request comes down to.
type podMutator struct {
	client  client.Client
	decoder admission.Decoder
}

func (m *podMutator) Handle(ctx context.Context, request admission.Request) admission.Response {
	var pod corev1.Pod
	if err := m.decoder.Decode(request, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if _, asks := pod.Annotations[networksAnnotation]; !asks {
		return admission.Allowed("")
	}
	resolved, err := m.resolve(ctx, &pod, request.Namespace)
	if err != nil {
		return admission.Denied(err.Error())
	}
	pod.Annotations[resolvedAnnotation] = resolved
	has := false
	for _, gate := range pod.Spec.ReadinessGates {
		has = has || gate.ConditionType == readyGate
	}
	if !has {
		pod.Spec.ReadinessGates = append(pod.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: readyGate})
	}
	changed, err := json.Marshal(&pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}

func (m *podMutator) resolve(ctx context.Context, pod *corev1.Pod, namespace string) (string, error) {
	items := strings.Split(pod.Annotations[networksAnnotation], ",")
	if len(items) > mostInterfaces {
		return "", fmt.Errorf("the request names %d items: at most %d", len(items), mostInterfaces)
	}
	if pod.Spec.HostNetwork {
		return "", fmt.Errorf("spec.hostNetwork goes with no request for networks")
	}
	var home corev1.Namespace
	if err := m.client.Get(ctx, types.NamespacedName{Name: namespace}, &home); err != nil {
		return "", err
	}
	var interfaces []string
	seen := map[string]bool{}
	var subnets []*net.IPNet
	for i, item := range items {
		item = strings.TrimSpace(item)
		if seen[item] {
			return "", fmt.Errorf("item %d: %q stands twice", i+1, item)
		}
		seen[item] = true
		one, network, err := m.item(ctx, item, i, namespace)
		if err != nil {
			return "", fmt.Errorf("item %d: %w", i+1, err)
		}
		if err := usable(network, &home); err != nil {
			return "", fmt.Errorf("item %d: %w", i+1, err)
		}
		for _, subnet := range network.Spec.IPAM.Subnets {
			_, prefix, err := net.ParseCIDR(subnet.CIDR)
			if err != nil {
				return "", fmt.Errorf("item %d: %w", i+1, err)
			}
			for _, other := range subnets {
				if other.Contains(prefix.IP) || prefix.Contains(other.IP) {
					return "", fmt.Errorf("item %d: subnet %s overlaps %s", i+1, prefix, other)
				}
			}
			subnets = append(subnets, prefix)
		}
		interfaces = append(interfaces, one)
	}
	return strings.Join(interfaces, ","), nil
}

func (m *podMutator) item(ctx context.Context, item string, place int, namespace string) (string, *PodNetwork, error) {
	var network PodNetwork
	name := fmt.Sprintf("net%d", place+1)
	attached, isAttachment := strings.CutPrefix(item, "attachment/")
	if !isAttachment {
		err := m.client.Get(ctx, types.NamespacedName{Name: item}, &network)
		return fmt.Sprintf("%s=%s@%s", name, item, network.UID), &network, named(err, item)
	}
	var attachment PodNetworkAttachment
	if err := m.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: attached}, &attachment); err != nil {
		return "", nil, named(err, item)
	}
	if attachment.Spec.InterfaceName != "" {
		name = attachment.Spec.InterfaceName
	}
	err := m.client.Get(ctx, types.NamespacedName{Name: attachment.Spec.PodNetworkName}, &network)
	return fmt.Sprintf("%s=%s@%s:%s@%s", name, item, attachment.UID, network.Name, network.UID), &network, named(err, item)
}

func named(err error, item string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%q doesn't exist", item)
	}
	return err
}

func usable(network *PodNetwork, home *corev1.Namespace) error {
	if network.Spec.Enabled != nil && !*network.Spec.Enabled {
		return fmt.Errorf("PodNetwork %q is disabled", network.Name)
	}
	if !network.DeletionTimestamp.IsZero() {
		return fmt.Errorf("PodNetwork %q is being deleted", network.Name)
	}
	standing := meta.FindStatusCondition(network.Status.Conditions, "Ready")
	if standing == nil || standing.Status != metav1.ConditionTrue || standing.ObservedGeneration != network.Generation {
		return fmt.Errorf("PodNetwork %q isn't Ready", network.Name)
	}
	if !isOpenTo(network, home) {
		return fmt.Errorf("PodNetwork %q isn't open to namespace %q", network.Name, home.Name)
	}
	return nil
}
