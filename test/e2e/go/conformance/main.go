// Command conformance runs the conformance suite of Kubernetes' ClusterNetworkPolicy on a named
// network: the suite makes its pods and policies and asks from pod to pod as ever, and each of its
// requests is changed on its way so that it speaks of that network.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	api "sigs.k8s.io/network-policy-api/apis/v1beta1"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"
)

// The suite's clients wait for each other's answers; the client's own brake would do so too.
const requestsPerSecond = 200

var (
	kubeconfig = flag.String("kubeconfig", "", "an administrator's file")
	network    = flag.String("network", "", "the PodNetwork that pods ask for and policies name")
	family     = flag.String("family", "IPv4", "of the addresses by which pods are asked")
	features   = flag.String("features", "", "features beyond the standard ones, by comma")
)

func configuration() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return nil, err
	}
	// Bodies are changed as JSON.
	config.ContentType = runtime.ContentTypeJSON
	config.AcceptContentTypes = runtime.ContentTypeJSON
	config.QPS, config.Burst = requestsPerSecond, requestsPerSecond
	wrap(config, *network, *family)
	return config, nil
}

func run(t *testing.T) {
	config, err := configuration()
	if err != nil {
		t.Fatalf("read %s: %v", *kubeconfig, err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{api.Install, kubernetesTypes} {
		if err := add(scheme); err != nil {
			t.Fatalf("make a scheme: %v", err)
		}
	}
	one, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	supported := sets.New[suite.SupportedFeature]()
	for _, feature := range strings.FieldsFunc(*features, func(r rune) bool { return r == ',' }) {
		supported.Insert(suite.SupportedFeature(feature))
	}
	all := suite.New(suite.Options{
		Client:            one,
		ClientSet:         set,
		KubeConfig:        *config,
		SupportedFeatures: supported,
	})
	all.Setup(t)
	all.Run(t, tests.ConformanceTests)
}

func main() {
	testing.Init()
	flag.Parse()
	if *kubeconfig == "" || *network == "" || (*family != "IPv4" && *family != "IPv6") {
		fmt.Fprintln(os.Stderr, "conformance: want --kubeconfig, --network and --family=IPv4|IPv6")
		os.Exit(2)
	}
	matches := func(pattern, name string) (bool, error) { return regexp.MatchString(pattern, name) }
	testing.Main(matches, []testing.InternalTest{{Name: "Conformance", F: run}}, nil, nil)
}
