package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func labelsOf(namespace *corev1.Namespace) labels.Set { return namespace.Labels }

// collector deletes objects that nobody owns any more.
type collector struct {
	client.Client
	empty func() client.Object
	owned func(context.Context, client.Object) (bool, error)
}

func (r *collector) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := r.empty()
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	owned, err := r.owned(ctx, object)
	if err != nil || owned || !object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, err
	}
	uid := object.GetUID()
	return ctrl.Result{}, client.IgnoreNotFound(r.Delete(ctx, object, client.Preconditions{UID: &uid}))
}

func collectors(manager ctrl.Manager) error {
	own := manager.GetClient()
	exists := func(ctx context.Context, name types.NamespacedName, object client.Object) (bool, error) {
		err := own.Get(ctx, name, object)
		return err == nil, client.IgnoreNotFound(err)
	}
	nodeExists := func(ctx context.Context, name string) (bool, error) {
		return exists(ctx, types.NamespacedName{Name: name}, &corev1.Node{})
	}
	networkExists := func(ctx context.Context, uid string) (bool, error) {
		var found PodNetworkList
		err := own.List(ctx, &found, client.MatchingFields{byUID: uid})
		return len(found.Items) > 0, err
	}
	podFits := func(ctx context.Context, object client.Object) (bool, error) {
		set := object.(*PodInterfaceSet)
		var pod corev1.Pod
		err := own.Get(ctx, types.NamespacedName{Namespace: set.Namespace, Name: set.Pod.Name}, &pod)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return string(pod.UID) == set.Pod.UID && pod.Spec.NodeName == set.NodeName, err
	}
	setsOfPod := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, pod client.Object) []reconcile.Request {
		var sets PodInterfaceSetList
		if own.List(ctx, &sets, client.InNamespace(pod.GetNamespace()), client.MatchingFields{byPod: pod.GetName()}) != nil {
			return nil
		}
		var requests []reconcile.Request
		for i := range sets.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sets.Items[i])})
		}
		return requests
	})
	err := ctrl.NewControllerManagedBy(manager).Named("sets").For(&PodInterfaceSet{}).Watches(&corev1.Pod{}, setsOfPod).
		Complete(&collector{own, func() client.Object { return &PodInterfaceSet{} }, podFits})
	if err != nil {
		return err
	}
	for _, one := range []struct {
		name  string
		empty func() client.Object
		owned func(context.Context, client.Object) (bool, error)
	}{
		{"blocks", func() client.Object { return &IPBlock{} }, func(ctx context.Context, o client.Object) (bool, error) {
			if there, err := networkExists(ctx, o.(*IPBlock).Spec.PodNetworkUID); err != nil || !there {
				return there, err
			}
			return nodeExists(ctx, o.(*IPBlock).Spec.NodeName)
		}},
		{"peers", func() client.Object { return &NetworkPeer{} }, func(ctx context.Context, o client.Object) (bool, error) {
			if there, err := networkExists(ctx, o.(*NetworkPeer).PodNetworkUID); err != nil || !there {
				return there, err
			}
			return nodeExists(ctx, o.(*NetworkPeer).NodeName)
		}},
		{"node-sets", func() client.Object { return &NodeNetworkSet{} }, func(ctx context.Context, o client.Object) (bool, error) {
			return nodeExists(ctx, o.GetName())
		}},
		{"identifiers", func() client.Object { return &NetworkIdentifier{} }, func(ctx context.Context, o client.Object) (bool, error) {
			return networkExists(ctx, o.(*NetworkIdentifier).Spec.PodNetworkUID)
		}},
	} {
		err := ctrl.NewControllerManagedBy(manager).Named(one.name).For(one.empty()).
			Complete(&collector{own, one.empty, one.owned})
		if err != nil {
			return err
		}
	}
	return nil
}
