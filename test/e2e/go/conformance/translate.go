package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

func kubernetesTypes(scheme *runtime.Scheme) error { return clientscheme.AddToScheme(scheme) }

type object = map[string]any

// A kind of Kubernetes and the one of ours that stands for it. All but podNetworkNames is the same.
type kindOf struct {
	group, resource, kind string // as the suite writes it
	ours                  string
	oursKind              string
}

const (
	oursVersion = "multinet.dev/v1alpha1"
	image       = "multinet.dev/agnhost:dev"
)

var kinds = []kindOf{
	{
		"policy.networking.k8s.io/v1beta1", "clusternetworkpolicies", "ClusterNetworkPolicy",
		"clusterpodnetworkpolicies", "ClusterPodNetworkPolicy",
	},
	{
		"networking.k8s.io/v1", "networkpolicies", "NetworkPolicy",
		"podnetworkpolicies", "PodNetworkPolicy",
	},
}

// translator makes requests and answers speak of a named network:
//   - pods of StatefulSets ask for it,
//   - policies are stored as ours that name it, and read as what the suite wrote,
//   - a pod that is read has its address there.
type translator struct {
	next    http.RoundTripper
	network string
	family  string
}

func wrap(config *rest.Config, network, family string) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &translator{next, network, family}
	})
}

func (t *translator) RoundTrip(request *http.Request) (*http.Response, error) {
	for _, kind := range kinds {
		if path, found := pathOfOurs(request.URL.Path, kind); found {
			return t.roundTripPolicy(request, kind, path)
		}
	}
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if writes(request) && strings.HasPrefix(request.URL.Path, "/apis/apps/v1/") {
		changed, err := withBody(request, request.URL.Path, t.askFor)
		if err != nil {
			return nil, err
		}
		return t.next.RoundTrip(changed)
	}
	response, err := t.next.RoundTrip(request)
	// api v1 namespaces NAMESPACE pods NAME
	isPod := len(parts) == 6 && parts[0] == "api" && parts[4] == "pods"
	if err != nil || !isPod || response.StatusCode != http.StatusOK {
		return response, err
	}
	return changeBody(response, func(pod object) error { return t.addressed(request, pod) })
}

// The way of an object of ours that stands for one of the kind. Discovery stays as it is.
func pathOfOurs(path string, kind kindOf) (string, bool) {
	rest, found := strings.CutPrefix(path, "/apis/"+kind.group+"/")
	if !found {
		return "", false
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		if part == kind.resource {
			parts[i] = kind.ours
			return "/apis/" + oursVersion + "/" + strings.Join(parts, "/"), true
		}
	}
	return "", false
}

func writes(request *http.Request) bool {
	return request.Method == http.MethodPost || request.Method == http.MethodPut
}

func (t *translator) roundTripPolicy(
	request *http.Request, kind kindOf, path string,
) (*http.Response, error) {
	changed, err := withBody(request, path, func(policy object) error {
		if !writes(request) {
			return nil // a patch holds only what differs
		}
		policy["apiVersion"], policy["kind"] = oursVersion, kind.oursKind
		spec, found := policy["spec"].(object)
		if !found {
			return fmt.Errorf("write a %s: it has no spec", kind.kind)
		}
		spec["podNetworkNames"] = []string{t.network}
		return nil
	})
	if err != nil {
		return nil, err
	}
	response, err := t.next.RoundTrip(changed)
	if err != nil || response.StatusCode >= http.StatusMultipleChoices {
		return response, err
	}
	return changeBody(response, func(policy object) error {
		if policy["kind"] != kind.oursKind {
			return nil // such as the Status of a deletion
		}
		policy["apiVersion"], policy["kind"] = kind.group, kind.kind
		if spec, found := policy["spec"].(object); found {
			delete(spec, "podNetworkNames")
		}
		return nil
	})
}

// askFor has the pods of a workload ask for the network, but for those in their node's; and run the
// image that a test cluster has, whose shell is busybox's.
func (t *translator) askFor(workload object) error {
	template, found := at(workload, "spec", "template")
	if !found {
		return nil
	}
	spec, _ := at(template, "spec")
	containers, _ := spec["containers"].([]any)
	for _, one := range containers {
		container, _ := one.(object)
		container["image"] = image
		if command, _ := container["command"].([]any); len(command) > 0 && command[0] == "/bin/bash" {
			command[0] = "/bin/sh"
		}
	}
	if spec["hostNetwork"] == true {
		return nil
	}
	metadata, found := at(template, "metadata")
	if !found {
		metadata = object{}
		template["metadata"] = metadata
	}
	annotations, found := at(metadata, "annotations")
	if !found {
		annotations = object{}
		metadata["annotations"] = annotations
	}
	annotations["multinet.dev/networks"] = t.network
	return nil
}

// addressed gives a pod its address on the network in place of the pod network's.
func (t *translator) addressed(request *http.Request, pod object) error {
	spec, _ := at(pod, "spec")
	status, found := at(pod, "status")
	if spec["hostNetwork"] == true || !found {
		return nil
	}
	metadata, _ := at(pod, "metadata")
	address, err := t.addressOf(request, metadata)
	if err != nil {
		return err
	}
	status["podIP"] = address
	status["podIPs"] = []object{{"ip": address}}
	return nil
}

func (t *translator) addressOf(request *http.Request, pod object) (string, error) {
	where := *request.URL
	where.Path = fmt.Sprintf("/apis/%s/namespaces/%s/podinterfacesets", oursVersion, pod["namespace"])
	where.RawQuery = url.Values{"fieldSelector": {fmt.Sprintf("pod.name=%s", pod["name"])}}.Encode()
	ask, err := http.NewRequestWithContext(request.Context(), http.MethodGet, where.String(), nil)
	if err != nil {
		return "", err
	}
	ask.Header = request.Header.Clone()
	response, err := t.next.RoundTrip(ask)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var sets struct {
		Items []struct {
			Pod        struct{ UID string }
			Interfaces []struct {
				PodNetworkName string
				IPs            []struct{ Address, Family string }
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&sets); err != nil {
		return "", fmt.Errorf("read %s: %w", where.Path, err)
	}
	for _, set := range sets.Items {
		for _, one := range set.Interfaces {
			for _, ip := range one.IPs {
				if set.Pod.UID == pod["uid"] && one.PodNetworkName == t.network && ip.Family == t.family {
					address, _, _ := strings.Cut(ip.Address, "/")
					return address, nil
				}
			}
		}
	}
	return "", fmt.Errorf("pod %s/%s has no %s address on network %s", pod["namespace"], pod["name"],
		t.family, t.network)
}

func at(from object, path ...string) (object, bool) {
	for _, name := range path {
		next, found := from[name].(object)
		if !found {
			return nil, false
		}
		from = next
	}
	return from, true
}

// withBody is the request with another path and a body that was changed.
func withBody(
	request *http.Request, path string, change func(object) error,
) (*http.Request, error) {
	changed := request.Clone(request.Context())
	changed.URL.Path, changed.URL.RawPath = path, ""
	if request.Body == nil {
		return changed, nil
	}
	content, err := io.ReadAll(request.Body)
	request.Body.Close()
	if err != nil {
		return nil, err
	}
	content, err = rewritten(content, change)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	changed.Body = io.NopCloser(bytes.NewReader(content))
	changed.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	changed.ContentLength = int64(len(content))
	return changed, nil
}

func changeBody(response *http.Response, change func(object) error) (*http.Response, error) {
	content, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err == nil {
		content, err = rewritten(content, change)
	}
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	response.ContentLength = int64(len(content))
	response.Header.Del("Content-Length")
	return response, nil
}

func rewritten(content []byte, change func(object) error) ([]byte, error) {
	if len(content) == 0 {
		return content, nil
	}
	var value object
	if err := json.Unmarshal(content, &value); err != nil {
		return nil, err
	}
	if err := change(value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
