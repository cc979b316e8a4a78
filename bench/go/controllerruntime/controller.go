package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	networksAnnotation = "multinet.dev/networks"
	finalizer          = "multinet.dev/in-use"
	joinAlways         = "Always"
	byNetwork          = "network"
	byVNI              = "vni"
	byPod              = "pod"
	byUID              = "uid"
	// As many writes at once as Multinet's controller has.
	workers = 8
)

func requested(pod *corev1.Pod) []string {
	var names []string
	for _, item := range strings.Split(pod.Annotations[networksAnnotation], ",") {
		if name := strings.TrimSpace(item); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// networksOf are those that a pod asks for by their own names.
func networksOf(object client.Object) []string {
	var names []string
	for _, name := range requested(object.(*corev1.Pod)) {
		if !strings.HasPrefix(name, "attachment/") {
			names = append(names, name)
		}
	}
	return names
}

func networksOfSet(object client.Object) []string {
	var names []string
	for _, one := range object.(*PodInterfaceSet).Interfaces {
		names = append(names, one.PodNetworkName)
	}
	return names
}

func networksOfNode(object client.Object) []string {
	var names []string
	for _, one := range object.(*NodeNetworkSet).Status.Networks {
		names = append(names, one.PodNetworkName)
	}
	return names
}

func index(ctx context.Context, manager ctrl.Manager) error {
	for _, one := range []struct {
		object client.Object
		name   string
		of     client.IndexerFunc
	}{
		{&corev1.Pod{}, byNetwork, networksOf},
		{&PodInterfaceSet{}, byNetwork, networksOfSet},
		{&PodInterfaceSet{}, byPod, func(o client.Object) []string { return []string{o.(*PodInterfaceSet).Pod.Name} }},
		{&NodeNetworkSet{}, byNetwork, networksOfNode},
		{&PodNetworkAttachment{}, byNetwork, func(o client.Object) []string {
			return []string{o.(*PodNetworkAttachment).Spec.PodNetworkName}
		}},
		{&PodNetwork{}, byUID, func(o client.Object) []string { return []string{string(o.GetUID())} }},
		{&PodNetwork{}, byVNI, func(o client.Object) []string {
			if vxlan := o.(*PodNetwork).Spec.VXLAN; vxlan != nil && vxlan.VNI != nil {
				return []string{fmt.Sprint(*vxlan.VNI)}
			}
			return nil
		}},
	} {
		if err := manager.GetFieldIndexer().IndexField(ctx, one.object, one.name, one.of); err != nil {
			return err
		}
	}
	return nil
}

func toNames(names func(client.Object) []string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		var requests []reconcile.Request
		for _, name := range names(object) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		}
		return requests
	})
}

func runController(given options) error {
	ctx := ctrl.SetupSignalHandler()
	manager, err := newManager(given, leading(given))
	if err != nil {
		return err
	}
	if err := index(ctx, manager); err != nil {
		return err
	}
	own := manager.GetClient()
	comesAndGoes := builder.WithPredicates(predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }})
	several := controller.Options{MaxConcurrentReconciles: workers}
	networks := &networkReconciler{own}
	err = ctrl.NewControllerManagedBy(manager).Named("network").WithOptions(several).For(&PodNetwork{}).
		Watches(&NodeNetworkSet{}, toNames(networksOfNode)).
		Watches(&PodInterfaceSet{}, toNames(networksOfSet)).
		Watches(&corev1.Pod{}, toNames(networksOf)).
		Watches(&NetworkIdentifier{}, toNames(func(o client.Object) []string {
			return []string{o.(*NetworkIdentifier).Spec.PodNetworkName}
		})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(networks.all), comesAndGoes).
		Complete(networks)
	if err != nil {
		return err
	}
	attachments := &attachmentReconciler{own}
	err = ctrl.NewControllerManagedBy(manager).Named("attachment").WithOptions(several).For(&PodNetworkAttachment{}).
		Watches(&PodNetwork{}, handler.EnqueueRequestsFromMapFunc(attachments.ofNetwork),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: readsOtherwise})).
		Watches(&PodInterfaceSet{}, handler.EnqueueRequestsFromMapFunc(attachments.ofSet)).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(attachments.ofNamespace)).
		Complete(attachments)
	if err != nil {
		return err
	}
	if err := collectors(manager); err != nil {
		return err
	}
	return manager.Start(ctx)
}

type networkReconciler struct{ client.Client }

func (r *networkReconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	var networks PodNetworkList
	if err := r.List(ctx, &networks); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range networks.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&networks.Items[i])})
	}
	return requests
}

func (r *networkReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var network PodNetwork
	if err := r.Get(ctx, request.NamespacedName, &network); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	var sets PodInterfaceSetList
	var reports NodeNetworkSetList
	var nodes corev1.NodeList
	with := client.MatchingFields{byNetwork: network.Name}
	for _, list := range []client.ObjectList{&pods, &sets, &reports} {
		if err := r.List(ctx, list, with); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.List(ctx, &nodes); err != nil {
		return ctrl.Result{}, err
	}
	holders := map[types.NamespacedName]bool{}
	for i := range sets.Items {
		holders[types.NamespacedName{Namespace: sets.Items[i].Namespace, Name: sets.Items[i].Pod.Name}] = true
	}
	attached := int32(len(holders))
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName != "" && pods.Items[i].Status.Phase != corev1.PodSucceeded &&
			pods.Items[i].Status.Phase != corev1.PodFailed {
			holders[client.ObjectKeyFromObject(&pods.Items[i])] = true
		}
	}
	before := network.DeepCopy()
	ready, err := r.ready(ctx, &network)
	if err != nil {
		return ctrl.Result{}, err
	}
	inUse := condition("InUse", metav1.ConditionFalse, "NoPods", "No pod has an interface here.")
	if len(holders) > 0 {
		inUse = condition("InUse", metav1.ConditionTrue, "PodsAttached", "Pods have interfaces here, or are about to.")
	}
	degraded, counted := degradation(&network, reports.Items)
	if network.Spec.Join == joinAlways {
		counted.Desired = int32(len(nodes.Items))
	}
	for _, one := range []metav1.Condition{ready, inUse, degraded} {
		one.ObservedGeneration = network.Generation
		meta.SetStatusCondition(&network.Status.Conditions, one)
	}
	network.Status.AttachedPods = &attached
	network.Status.Nodes = &counted
	holds := controllerutil.ContainsFinalizer(&network, finalizer)
	if holds != (len(holders) > 0) && network.DeletionTimestamp.IsZero() {
		changed := before.DeepCopy()
		if holds {
			controllerutil.RemoveFinalizer(changed, finalizer)
		} else {
			controllerutil.AddFinalizer(changed, finalizer)
		}
		return ctrl.Result{}, r.Patch(ctx, changed, optimistic(before))
	}
	if equality.Semantic.DeepEqual(before.Status, network.Status) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Status().Patch(ctx, &network, optimistic(before)))
}

func optimistic(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

// ready reserves the VNI that the network names, and says whether the network can be used.
func (r *networkReconciler) ready(ctx context.Context, network *PodNetwork) (metav1.Condition, error) {
	no := func(reason, message string) metav1.Condition {
		return condition("Ready", metav1.ConditionFalse, reason, message)
	}
	if !network.DeletionTimestamp.IsZero() {
		return no("Deleting", "The network is being deleted: it takes no new interface."), nil
	}
	if network.Spec.VXLAN != nil && network.Spec.VXLAN.VNI != nil {
		vni := *network.Spec.VXLAN.VNI
		var rivals PodNetworkList
		if err := r.List(ctx, &rivals, client.MatchingFields{byVNI: fmt.Sprint(vni)}); err != nil {
			return metav1.Condition{}, err
		}
		for i := range rivals.Items {
			if older(&rivals.Items[i], network) {
				network.Status.VNI = nil
				return no("Conflict", fmt.Sprintf("spec.vxlan.vni: %d belongs to the older network %q: use another, "+
					"or none to have one allocated.", vni, rivals.Items[i].Name)), nil
			}
		}
		if held, err := r.reserve(ctx, network, vni); err != nil || !held {
			return no("VNIPending", "The VNI isn't reserved yet."), err
		}
		network.Status.VNI = &vni
	}
	if network.Spec.Enabled != nil && !*network.Spec.Enabled {
		return no("AdministrativelyDisabled", "spec.enabled is false: no new interface, running pods keep theirs."), nil
	}
	return condition("Ready", metav1.ConditionTrue, "Accepted", "The network can be used."), nil
}

func older(a, b *PodNetwork) bool {
	if a.UID == b.UID {
		return false
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

// reserve is true where the identifier is the network's.
func (r *networkReconciler) reserve(ctx context.Context, network *PodNetwork, vni int32) (bool, error) {
	var identifier NetworkIdentifier
	name := fmt.Sprintf("vxlan-%d", vni)
	err := r.Get(ctx, types.NamespacedName{Name: name}, &identifier)
	if err == nil {
		return identifier.Spec.PodNetworkUID == string(network.UID), nil
	}
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	identifier = NetworkIdentifier{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: NetworkIdentifierSpec{Kind: "VXLAN", ID: int64(vni), PodNetworkName: network.Name,
			PodNetworkUID: string(network.UID)},
	}
	return false, client.IgnoreAlreadyExists(r.Create(ctx, &identifier))
}

// degradation also counts the nodes that say anything of the network.
func degradation(network *PodNetwork, reports []NodeNetworkSet) (metav1.Condition, NodeCounts) {
	var ready, unknown int32
	failing := map[string]string{}
	for i := range reports {
		for _, one := range reports[i].Status.Networks {
			if one.PodNetworkName != network.Name {
				continue
			}
			standing := meta.FindStatusCondition(one.Conditions, "Ready")
			switch {
			case standing == nil || standing.Status == metav1.ConditionUnknown:
				unknown++
			case standing.Status == metav1.ConditionTrue:
				ready++
			default:
				failing[reports[i].Name] = standing.Reason
			}
		}
	}
	counted := NodeCounts{Desired: ready + unknown + int32(len(failing)), Ready: ready}
	if len(failing) > 0 {
		nodes := make([]string, 0, len(failing))
		for node := range failing {
			nodes = append(nodes, node)
		}
		sort.Strings(nodes)
		message := fmt.Sprintf("Not ready on %s (%s)", nodes[0], failing[nodes[0]])
		if len(nodes) > 1 {
			message += fmt.Sprintf(" and %d more", len(nodes)-1)
		}
		return condition("Degraded", metav1.ConditionTrue, "NodesNotReady", message+"."), counted
	}
	if unknown > 0 {
		return condition("Degraded", metav1.ConditionUnknown, "NotProbed",
			"Some node can't tell its readiness yet."), counted
	}
	if ready == 0 && network.Spec.Join == joinAlways {
		return condition("Degraded", metav1.ConditionUnknown, "NotReported",
			"No node has reported this network yet."), counted
	}
	return condition("Degraded", metav1.ConditionFalse, "NodesReady",
		"Every node that reports it is ready."), counted
}

type attachmentReconciler struct{ client.Client }

// readsOtherwise: whether attachments of the network do.
func readsOtherwise(changed event.UpdateEvent) bool {
	before := meta.FindStatusCondition(changed.ObjectOld.(*PodNetwork).Status.Conditions, "Ready")
	now := meta.FindStatusCondition(changed.ObjectNew.(*PodNetwork).Status.Conditions, "Ready")
	if before == nil || now == nil {
		return before != now
	}
	return before.Status != now.Status || before.Reason != now.Reason || before.Message != now.Message
}

func (r *attachmentReconciler) listed(ctx context.Context, selection ...client.ListOption) []reconcile.Request {
	var attachments PodNetworkAttachmentList
	if err := r.List(ctx, &attachments, selection...); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range attachments.Items {
		requests = append(requests,
			reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&attachments.Items[i])})
	}
	return requests
}

func (r *attachmentReconciler) ofNetwork(ctx context.Context, network client.Object) []reconcile.Request {
	return r.listed(ctx, client.MatchingFields{byNetwork: network.GetName()})
}

func (r *attachmentReconciler) ofNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.listed(ctx, client.InNamespace(namespace.GetName()))
}

func (r *attachmentReconciler) ofSet(_ context.Context, object client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, one := range object.(*PodInterfaceSet).Interfaces {
		if one.AttachmentName != "" {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{
				Namespace: object.GetNamespace(), Name: one.AttachmentName}})
		}
	}
	return requests
}

func (r *attachmentReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var attachment PodNetworkAttachment
	if err := r.Get(ctx, request.NamespacedName, &attachment); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := attachment.DeepCopy()
	ready, err := r.ready(ctx, &attachment)
	if err != nil {
		return ctrl.Result{}, err
	}
	var sets PodInterfaceSetList
	with := client.MatchingFields{byNetwork: attachment.Spec.PodNetworkName}
	if err := r.List(ctx, &sets, with, client.InNamespace(attachment.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	attached := int32(0)
	for i := range sets.Items {
		if slices.ContainsFunc(sets.Items[i].Interfaces, func(one PodInterface) bool {
			return one.AttachmentName == attachment.Name
		}) {
			attached++
		}
	}
	ready.ObservedGeneration = attachment.Generation
	meta.SetStatusCondition(&attachment.Status.Conditions, ready)
	attachment.Status.AttachedPods = &attached
	if equality.Semantic.DeepEqual(before.Status, attachment.Status) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Status().Patch(ctx, &attachment, optimistic(before)))
}

func (r *attachmentReconciler) ready(ctx context.Context, attachment *PodNetworkAttachment) (metav1.Condition, error) {
	no := func(reason, message string) (metav1.Condition, error) {
		return condition("Ready", metav1.ConditionFalse, reason, message), nil
	}
	called := fmt.Sprintf("PodNetwork %q", attachment.Spec.PodNetworkName)
	var network PodNetwork
	err := r.Get(ctx, types.NamespacedName{Name: attachment.Spec.PodNetworkName}, &network)
	if apierrors.IsNotFound(err) {
		return no("NetworkNotFound", called+" doesn't exist: create it, or name another.")
	}
	if err != nil {
		return metav1.Condition{}, err
	}
	var namespace corev1.Namespace
	if err := r.Get(ctx, types.NamespacedName{Name: attachment.Namespace}, &namespace); err != nil {
		return metav1.Condition{}, client.IgnoreNotFound(err)
	}
	if !isOpenTo(&network, &namespace) {
		return no("NotGranted", fmt.Sprintf("%s doesn't let namespace %q in: see its spec.access.namespaces.",
			called, attachment.Namespace))
	}
	standing := meta.FindStatusCondition(network.Status.Conditions, "Ready")
	if standing == nil {
		return no("NetworkNotReady", called+" isn't Ready: it hasn't been judged yet.")
	}
	if standing.Status != metav1.ConditionTrue {
		return no("NetworkNotReady", called+" isn't Ready: "+standing.Reason+": "+standing.Message)
	}
	return condition("Ready", metav1.ConditionTrue, "Accepted", "Pods of this namespace can use the attachment."), nil
}

func isOpenTo(network *PodNetwork, namespace *corev1.Namespace) bool {
	access := network.Spec.Access.Namespaces
	if access.From == "All" {
		return true
	}
	if access.From != "Selector" || access.Selector == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(access.Selector)
	return err == nil && selector.Matches(labelsOf(namespace))
}
