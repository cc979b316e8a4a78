// controllerruntime is what one writes with controller-runtime for the same kinds and the same
// decisions as Multinet's controller and webhook, in small: what isn't met in the benchmark (other
// types of network than VXLAN, pods that hold a deletion, what is told at its own pace) is left out.
//
//	controllerruntime controller -kubeconfig FILE -health 127.0.0.1:0
//	controllerruntime webhook -kubeconfig FILE -health 127.0.0.1:0 -listen 127.0.0.1:9443 -cert-dir DIR
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"net/http"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

type options struct {
	kubeconfig string
	health     string
	listen     string
	certDir    string
	namespace  string
	json       bool
}

// staticMapper knows the kinds without asking: a server of tests has no discovery.
func staticMapper(scheme *runtime.Scheme) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	for _, kind := range []string{"PodNetwork", "NodeNetworkSet", "NetworkPeer", "IPBlock", "NetworkIdentifier"} {
		mapper.Add(groupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	for _, kind := range []string{"PodNetworkAttachment", "PodInterfaceSet"} {
		mapper.Add(groupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	core := func(kind string) schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind(kind) }
	mapper.Add(core("Node"), meta.RESTScopeRoot)
	mapper.Add(core("Namespace"), meta.RESTScopeRoot)
	mapper.Add(core("Pod"), meta.RESTScopeNamespace)
	mapper.Add(coordinationv1.SchemeGroupVersion.WithKind("Lease"), meta.RESTScopeNamespace)
	return mapper
}

func newManager(given options, configure func(*ctrl.Options)) (ctrl.Manager, error) {
	config, err := clientcmd.BuildConfigFromFlags("", given.kubeconfig)
	if err != nil {
		return nil, err
	}
	// The server's own fairness is what holds it back, and not the 20 requests a second of a client
	// that sets nothing.
	config.QPS = -1
	if given.json {
		config.ContentType = "application/json"
	}
	scheme := newScheme()
	chosen := ctrl.Options{
		Scheme:                 scheme,
		HealthProbeBindAddress: given.health,
		Metrics:                metricsserver.Options{BindAddress: "127.0.0.1:0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return staticMapper(scheme), nil
		},
	}
	configure(&chosen)
	manager, err := ctrl.NewManager(config, chosen)
	if err != nil {
		return nil, err
	}
	return manager, manager.AddReadyzCheck("caches", healthz.Ping)
}

func leading(given options) func(*ctrl.Options) {
	// As Multinet's own, which are client-go's.
	lease, renew, retry := 15*time.Second, 10*time.Second, 2*time.Second
	return func(chosen *ctrl.Options) {
		chosen.LeaderElection = true
		chosen.LeaderElectionID = "multinet-controller-runtime"
		chosen.LeaderElectionNamespace = given.namespace
		chosen.LeaderElectionReleaseOnCancel = true
		chosen.LeaseDuration, chosen.RenewDeadline, chosen.RetryPeriod = &lease, &renew, &retry
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("want controller or webhook")
	}
	var given options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&given.kubeconfig, "kubeconfig", "", "how the API server is reached")
	flags.StringVar(&given.health, "health", "127.0.0.1:0", "host:port of health")
	flags.StringVar(&given.listen, "listen", "127.0.0.1:9443", "host:port of the webhook")
	flags.StringVar(&given.certDir, "cert-dir", "", "of tls.crt and tls.key")
	flags.StringVar(&given.namespace, "namespace", "multinet-system", "where the lease is")
	flags.BoolVar(&given.json, "json", false, "speak JSON to the API server: it knows nothing else")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	ctrl.SetLogger(klog.Background())
	if os.Args[1] == "webhook" {
		return runWebhook(given)
	}
	return runController(given)
}

func main() {
	if err := run(); err != nil {
		log.Fatal("controllerruntime: ", err)
	}
}
