package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Kinds of the API server's own come as protobuf, whose making costs it least.
const (
	asJSON     = "application/json"
	asProtobuf = "application/vnd.kubernetes.protobuf"
)

// listed is every kind that a controller of networks looks at.
var listed = map[string]string{
	"/api/v1/pods":       asProtobuf,
	"/api/v1/nodes":      asProtobuf,
	"/api/v1/namespaces": asProtobuf,
	"/apis/multinet.dev/v1alpha1/podnetworks":           asJSON,
	"/apis/multinet.dev/v1alpha1/podnetworkattachments": asJSON,
	"/apis/multinet.dev/v1alpha1/podinterfacesets":      asJSON,
	"/apis/multinet.dev/v1alpha1/nodenetworksets":       asJSON,
	"/apis/multinet.dev/v1alpha1/networkpeers":          asJSON,
	"/apis/multinet.dev/v1alpha1/networkidentifiers":    asJSON,
	"/apis/multinet.dev/v1alpha1/ipblocks":              asJSON,
}

// listAll takes the time until the last byte of every list is here. The connection is made anew.
func listAll(ctx context.Context, kubeconfig string) (time.Duration, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return 0, err
	}
	config.DisableCompression = true // which costs the server more than the bytes do
	begin := time.Now()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	ended := make(chan error, len(listed))
	for path, form := range listed {
		go func() { ended <- drain(ctx, client, config.Host+path+"?resourceVersion=0", form) }()
	}
	for range listed {
		if one := <-ended; one != nil && err == nil {
			err = one
		}
	}
	return time.Since(begin), err
}

func drain(ctx context.Context, client *http.Client, url, form string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", form)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("list %s: %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
