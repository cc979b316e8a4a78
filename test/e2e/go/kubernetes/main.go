// Command kubernetes is every Kubernetes program that a test cluster runs, and etcd, in one file.
//
// The name it is called by (a symbolic link) or its first argument chooses the program. One binary
// instead of seven links the shared packages once: the cold build takes half as long, and the page
// cache holds one copy for all nodes of a cluster.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

func component(command func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(command())) }
}

var programs = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          component(apiserver.NewAPIServerCommand),
	"kube-controller-manager": component(controllermanager.NewControllerManagerCommand),
	"kube-proxy":              component(proxy.NewProxyCommand),
	"kube-scheduler":          component(newSchedulerCommand),
	"kubectl":                 runKubectl,
	"kubelet":                 component(newKubeletCommand),
}

func newKubeletCommand() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }

func newSchedulerCommand() *cobra.Command { return scheduler.NewSchedulerCommand() }

func runKubectl() {
	// Verbosity has to be known before the command is built, as upstream's main explains.
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) //nolint:errcheck
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, found := programs[name]; !found && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	run, found := programs[name]
	if !found {
		known := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "run program %q: unknown name, want one of %s\n", name,
			strings.Join(known, ", "))
		os.Exit(2)
	}
	run()
}
