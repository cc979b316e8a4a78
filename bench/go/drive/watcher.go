package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// watcher sees when attachments come, and when they are first told that pods can use them.
type watcher struct {
	mutex   sync.Mutex
	came    map[string]time.Time
	ready   map[string]time.Time
	changes int       // of attachments and networks that were there
	last    time.Time // of these
	broken  error
	answer  func(*unstructured.Unstructured) // to one that came; nil: a contender answers
}

func watchAll(ctx context.Context, server dynamic.Interface) (*watcher, error) {
	made := &watcher{came: map[string]time.Time{}, ready: map[string]time.Time{}, last: time.Now()}
	for _, kind := range []metav1.GroupVersionResource{attachments, networks} {
		resource := server.Resource(resourceOf(kind))
		list, err := resource.List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return nil, err
		}
		// A server under load ends a watch now and then; this one goes on where it was.
		follow := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, options)
		}}
		events, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), follow)
		if err != nil {
			return nil, err
		}
		go made.follow(ctx, events, kind == attachments)
	}
	return made, nil
}

func (w *watcher) follow(ctx context.Context, events watch.Interface, isAttachment bool) {
	for event := range events.ResultChan() {
		object, fits := event.Object.(*unstructured.Unstructured)
		if !fits {
			w.mutex.Lock()
			w.broken = fmt.Errorf("watch: %v", event.Object)
			w.mutex.Unlock()
			return
		}
		w.note(event.Type, object, isAttachment)
	}
	if ctx.Err() == nil {
		w.mutex.Lock()
		w.broken = fmt.Errorf("watch: the server ended it")
		w.mutex.Unlock()
	}
}

func (w *watcher) note(kind watch.EventType, object *unstructured.Unstructured, isAttachment bool) {
	now := time.Now()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if kind == watch.Modified {
		w.changes++
		w.last = now
	}
	if !isAttachment {
		return
	}
	name := object.GetName()
	if kind == watch.Added {
		w.came[name] = now
		if w.answer != nil {
			go w.answer(object)
		}
	}
	if _, known := w.ready[name]; !known && kind == watch.Modified && isReady(object) {
		w.ready[name] = now
	}
}

func isReady(object *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		condition, fits := one.(map[string]any)
		if fits && condition["type"] == "Ready" && condition["status"] == "True" {
			return true
		}
	}
	return false
}

func (w *watcher) readyAt(name string) (time.Time, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.ready[name], w.broken
}

func (w *watcher) changed() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.changes
}

// quiet waits until nothing was changed for `long`.
func (w *watcher) quiet(ctx context.Context, long, limit time.Duration) error {
	begin := time.Now()
	for {
		w.mutex.Lock()
		last, broken := w.last, w.broken
		w.mutex.Unlock()
		if last.Before(begin) {
			last = begin
		}
		switch {
		case broken != nil:
			return broken
		case time.Since(last) >= long:
			return nil
		case time.Since(begin) > limit:
			return fmt.Errorf("objects are still changed after %s", limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
