package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	alone    = 200 // reviews one after the other, of a round
	callers  = 4
	loadTime = 500 * time.Millisecond
)

// asker sends reviews as an API server does: HTTP/1.1 over TLS, connections kept.
type asker struct {
	*http.Client
	url string
}

func newAsker(ca, url string) (*asker, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read %s: no certificate", ca)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: callers,
		TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}}
	return &asker{&http.Client{Transport: transport, Timeout: 10 * time.Second}, url}, nil
}

func (a *asker) ask(review []byte) ([]byte, error) {
	response, err := a.Post(a.url, "application/json", bytes.NewReader(review))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

type review struct {
	size, interfaces int
	body             []byte
}

// reviewOf is one of a pod of so many bytes that asks for so many networks.
func reviewOf(size int, namespace string, asked []string) (review, error) {
	fields := podFields(strings.Join(asked, ", "), "")
	metadata := fields["metadata"].(object)
	metadata["generateName"], metadata["namespace"] = "web-7d9c5b8f6d-", namespace
	annotations := metadata["annotations"].(object)
	if len(asked) == 0 {
		delete(annotations, networksAnnotation)
	}
	spec := fields["spec"].(object)
	delete(spec, "readinessGates")
	delete(spec, "nodeName")
	fields["apiVersion"], fields["kind"] = "v1", "Pod"
	made := object{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": object{
			"uid": "0d7d7a5e-0000-4000-8000-000000000001", "operation": "CREATE", "namespace": namespace,
			"kind":     object{"group": "", "version": "v1", "kind": "Pod"},
			"resource": object{"group": "", "version": "v1", "resource": "pods"},
			"userInfo": object{"username": "system:serviceaccount:kube-system:replicaset-controller"},
			"object":   fields, "oldObject": nil, "dryRun": false, "options": nil,
		},
	}
	body, err := json.Marshal(made)
	if err != nil {
		return review{}, err
	}
	// Filled as big pods are: by environment.
	container := spec["containers"].([]any)[0].(object)
	environment := container["env"].([]any)
	for i := 0; len(body) < size; i++ {
		room := min(size-len(body), 512)
		environment = append(environment, object{"name": fmt.Sprintf("SETTING_%d", i), "value": strings.Repeat("x", room)})
		container["env"] = environment
		if body, err = json.Marshal(made); err != nil {
			return review{}, err
		}
	}
	return review{size, len(asked), body}, nil
}

// checked is an error where the answer isn't what any contender must say.
func checked(one review, answer []byte) error {
	var said struct {
		Response struct {
			Allowed bool
			Patch   string
			Status  struct{ Message string }
		}
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return err
	}
	if !said.Response.Allowed {
		return fmt.Errorf("a pod with %d networks is refused: %s", one.interfaces, said.Response.Status.Message)
	}
	patch, err := base64.StdEncoding.DecodeString(said.Response.Patch)
	if err != nil {
		return err
	}
	resolved := strings.Count(string(patch), "@")
	if resolved != one.interfaces {
		return fmt.Errorf("a pod with %d networks is patched with %d: %s", one.interfaces, resolved, patch)
	}
	return nil
}

func reviews(ctx context.Context, given options, contenders []contender) error {
	names := strings.Split(given.networks, ",")
	var cases []review
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, count := range []int{0, 1, 16} {
			one, err := reviewOf(size, given.namespace, names[:count])
			if err != nil {
				return err
			}
			cases = append(cases, one)
		}
	}
	running := map[string]*child{}
	askers := map[string]*asker{}
	for _, one := range contenders {
		started, err := start(one)
		if err != nil {
			return err
		}
		defer started.kill()
		running[one.Name] = started
		if askers[one.Name], err = newAsker(given.ca, one.URL); err != nil {
			return err
		}
		if err := awaitAnswers(ctx, askers[one.Name], cases, given.limit); err != nil {
			return fmt.Errorf("start %s: %w", one.Name, err)
		}
	}
	for _, each := range cases {
		err := inTurn(given.rounds, contenders, func(round int, one contender) error {
			return measureReviews(running[one.Name], askers[one.Name], each, round)
		})
		if err != nil {
			return err
		}
	}
	for _, one := range contenders {
		line, err := running[one.Name].memory()
		if err != nil {
			return err
		}
		line["part"], line["way"] = "reviews' memory", one.Name
		say(line)
	}
	return nil
}

// awaitAnswers until the caches are full: each case is answered rightly.
func awaitAnswers(ctx context.Context, server *asker, cases []review, limit time.Duration) error {
	begin := time.Now()
	for {
		var err error
		for _, one := range cases {
			var answer []byte
			if answer, err = server.ask(one.body); err == nil {
				err = checked(one, answer)
			}
			if err != nil {
				break
			}
		}
		if err == nil || time.Since(begin) > limit {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func measureReviews(running *child, server *asker, one review, round int) error {
	var took []float64
	for range alone {
		begin := time.Now()
		answer, err := server.ask(one.body)
		if err != nil {
			return err
		}
		took = append(took, milliseconds(time.Since(begin)))
		if err := checked(one, answer); err != nil {
			return err
		}
	}
	before, err := running.used()
	if err != nil {
		return err
	}
	begin := time.Now()
	var answered atomic.Int64
	var failure atomic.Value
	var group sync.WaitGroup
	for range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Since(begin) < loadTime {
				if _, err := server.ask(one.body); err != nil {
					failure.Store(err)
					return
				}
				answered.Add(1)
			}
		}()
	}
	group.Wait()
	if err, failed := failure.Load().(error); failed {
		return err
	}
	seconds := time.Since(begin).Seconds()
	used, err := running.used()
	if err != nil {
		return err
	}
	say(map[string]any{
		"part": "reviews", "way": running.name, "round": round, "size": one.size, "networks": one.interfaces,
		"milliseconds": took, "reviews": answered.Load(), "seconds": seconds, "cpuSeconds": (used - before).Seconds(),
	})
	return nil
}
