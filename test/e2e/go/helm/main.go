// helm-template renders a chart with Helm's own loader and engine, as `helm template` does. The whole
// of Helm's command would take several minutes to build, for registries and plugins that nobody here
// uses.
//
//	helm-template CHART NAMESPACE [VALUES.yaml]
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func render(arguments []string) error {
	chart, err := loader.Load(arguments[1])
	if err != nil {
		return err
	}
	values := map[string]any{}
	if len(arguments) > 3 {
		if values, err = chartutil.ReadValuesFile(arguments[3]); err != nil {
			return err
		}
	}
	release := chartutil.ReleaseOptions{Name: "multinet", Namespace: arguments[2], Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValuesWithSchemaValidation(chart, values, release, nil, false)
	if err != nil {
		return err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(files[name]) != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, crd := range chart.CRDObjects() {
		fmt.Printf("---\n%s\n", crd.File.Data)
	}
	for _, name := range names {
		fmt.Printf("---\n%s\n", files[name])
	}
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: helm-template CHART NAMESPACE [VALUES.yaml]")
		os.Exit(2)
	}
	if err := render(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
