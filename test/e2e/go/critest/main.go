// critest runs the specs of CRI's validation suite against one endpoint. The suite itself is built as
// a test binary; as a program it is built and pinned like the others here, and without benchmarks.
package main

import (
	"flag"
	"os"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"sigs.k8s.io/cri-tools/pkg/framework"
	_ "sigs.k8s.io/cri-tools/pkg/validate"
)

// outcome stands for the *testing.T that Ginkgo wants.
type outcome struct{ failed bool }

func (o *outcome) Fail() { o.failed = true }

func main() {
	framework.RegisterFlags()
	flag.Parse()
	gomega.RegisterFailHandler(ginkgo.Fail)
	var all outcome
	ginkgo.RunSpecs(&all, "CRI validation")
	if all.failed {
		os.Exit(1)
	}
}
