// endpoints takes the time of Kubernetes' own EndpointSlice reconciler, from pods to encoded slices,
// and prints a line of JSON for each reconcile:
//
//	endpoints change 5000     none, one and a hundred of so many endpoints of one service change
//	endpoints cold 1000 100   the first time for so many services of so many endpoints, and the memory then
//
// Slices are encoded as for the API server (protobuf) and kept here.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice"
	sliceutil "k8s.io/endpointslice/util"
	"k8s.io/klog/v2"
)

const (
	rounds       = 40
	nodes        = 100
	mostInASlice = 100
)

// server keeps slices, and counts what was written.
type server struct {
	kubernetes.Interface
	discoveryclient.DiscoveryV1Interface
	discoveryclient.EndpointSliceInterface
	slices map[string]*discovery.EndpointSlice
	number int
	writes int
	bytes  int
}

func (s *server) DiscoveryV1() discoveryclient.DiscoveryV1Interface { return s }

func (s *server) EndpointSlices(string) discoveryclient.EndpointSliceInterface { return s }

func (s *server) keep(slice *discovery.EndpointSlice) (*discovery.EndpointSlice, error) {
	encoded, err := slice.Marshal()
	if err != nil {
		return nil, err
	}
	s.number++
	s.writes++
	s.bytes += len(encoded)
	kept := *slice
	if kept.Name == "" {
		kept.Name = fmt.Sprintf("%s%d", kept.GenerateName, s.number)
	}
	kept.UID = types.UID("uid-" + kept.Name)
	kept.ResourceVersion = strconv.Itoa(s.number)
	s.slices[kept.Name] = &kept
	return &kept, nil
}

func (s *server) Create(_ context.Context, slice *discovery.EndpointSlice, _ metav1.CreateOptions) (*discovery.EndpointSlice, error) {
	return s.keep(slice)
}

func (s *server) Update(_ context.Context, slice *discovery.EndpointSlice, _ metav1.UpdateOptions) (*discovery.EndpointSlice, error) {
	return s.keep(slice)
}

func (s *server) Delete(_ context.Context, name string, _ metav1.DeleteOptions) error {
	s.writes++
	delete(s.slices, name)
	return nil
}

func (s *server) standing() []*discovery.EndpointSlice {
	var all []*discovery.EndpointSlice
	for _, one := range s.slices {
		all = append(all, one)
	}
	return all
}

func nodeOf(number int) string { return fmt.Sprintf("node-%d", number%nodes) }

func nodeLister() corelisters.NodeLister {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for i := range nodes {
		if err := store.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeOf(i)}}); err != nil {
			log.Fatal(err)
		}
	}
	return corelisters.NewNodeLister(store)
}

func newReconciler(to *server, nodes corelisters.NodeLister) *endpointslice.Reconciler {
	return endpointslice.NewReconciler(to, nodes, mostInASlice, sliceutil.NewEndpointSliceTracker(), nil,
		record.NewFakeRecorder(10), "endpointslice-controller.k8s.io")
}

func service(number int) *corev1.Service {
	name := fmt.Sprintf("s%d", number)
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.ServiceSpec{
			ClusterIP:  "None",
			ClusterIPs: []string{"None"},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Selector:   map[string]string{"app": name},
			Ports:      []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
}

func pod(service, number, endpoints int, ready bool) *corev1.Pod {
	name := fmt.Sprintf("s%d-6d4cf56db6-%d", service, number)
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	host := service*endpoints + number + 256
	ip := fmt.Sprintf("10.%d.%d.%d", host>>16, host>>8&255, host&255)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name),
			Labels: map[string]string{"app": fmt.Sprintf("s%d", service)},
		},
		Spec: corev1.PodSpec{NodeName: nodeOf(number)},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
		},
	}
}

func tell(line map[string]any) {
	line["case"] = "core"
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

func change(endpoints int) {
	to := &server{slices: map[string]*discovery.EndpointSlice{}}
	reconciler := newReconciler(to, nodeLister())
	one := service(0)
	var pods []*corev1.Pod
	for i := range endpoints {
		pods = append(pods, pod(0, i, endpoints, true))
	}
	reconcile := func() (float64, int, int) {
		standing := to.standing()
		writes, bytes := to.writes, to.bytes
		begin := time.Now()
		if err := reconciler.Reconcile(klog.Background(), one, pods, standing, begin); err != nil {
			log.Fatal(err)
		}
		return time.Since(begin).Seconds() * 1000, to.writes - writes, to.bytes - bytes
	}
	reconcile()
	for round := range rounds {
		for what, changed := range map[string]int{"none": 0, "one": 1, "hundred": 100} {
			for i := range changed {
				number := 7
				if changed > 1 {
					number = i * (endpoints / changed)
				}
				pods[number] = pod(0, number, endpoints, round%2 == 1)
			}
			took, writes, bytes := reconcile()
			tell(map[string]any{"what": what, "round": round, "milliseconds": took, "writes": writes, "bytes": bytes})
		}
	}
}

func resident() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		log.Fatal(err)
	}
	return kib
}

func cold(services, endpoints int) {
	debug.FreeOSMemory()
	before := resident()
	lister := nodeLister()
	var all [][]*corev1.Pod
	for s := range services {
		var pods []*corev1.Pod
		for e := range endpoints {
			pods = append(pods, pod(s, e, endpoints, true))
		}
		all = append(all, pods)
	}
	to := &server{slices: map[string]*discovery.EndpointSlice{}}
	reconciler := newReconciler(to, lister)
	begin := time.Now()
	for s := range services {
		if err := reconciler.Reconcile(klog.Background(), service(s), all[s], nil, begin); err != nil {
			log.Fatal(err)
		}
	}
	took := time.Since(begin).Seconds() * 1000
	debug.FreeOSMemory()
	tell(map[string]any{
		"what": "cold", "round": 0, "milliseconds": took, "writes": to.writes, "bytes": to.bytes,
		"kib": resident() - before,
	})
	runtime.KeepAlive(all)
	runtime.KeepAlive(to)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		log.Fatalf("%q: a number of at least 1 is wanted", text)
	}
	return value
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "change":
		change(number(os.Args[2]))
	case len(os.Args) == 4 && os.Args[1] == "cold":
		cold(number(os.Args[2]), number(os.Args[3]))
	default:
		log.Fatal("usage: endpoints change ENDPOINTS | cold SERVICES ENDPOINTS")
	}
}
