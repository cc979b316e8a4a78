// drive starts controllers or webhooks in turn on one API server and takes the time, the processor
// and the memory that each needs. It prints a line of JSON for each figure; tools/benchlib/control.py
// says with which contenders, and reads the lines.
//
//	drive cold    -kubeconfig FILE -sizes 1250,2500 -rounds 3 <contenders.json
//	drive steady  -kubeconfig FILE -rates 20,500 -seconds 10 -turns 2 -idle 10 <contenders.json
//	drive reviews -ca FILE -rounds 5 -namespace NAME -networks a,b <contenders.json
//
// contenders.json: [{"name": "ours", "argv": ["program", "--option"], "url": "https://..."}]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

type options struct {
	kubeconfig, ca, namespace string
	networks                  string
	sizes, rates              string
	rounds, turns             int
	seconds, idle             time.Duration
	limit                     time.Duration
}

func numbers(text string) ([]int, error) {
	var found []int
	for _, word := range strings.Split(text, ",") {
		number, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		found = append(found, number)
	}
	return found, nil
}

func say(line map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

func connect(kubeconfig string) (dynamic.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return dynamic.NewForConfig(config)
}

func run(ctx context.Context) error {
	if len(os.Args) < 2 {
		return fmt.Errorf("want cold, steady or reviews")
	}
	var given options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&given.kubeconfig, "kubeconfig", "", "how the API server is reached")
	flags.StringVar(&given.ca, "ca", "", "whom the webhooks' certificates are by")
	flags.StringVar(&given.namespace, "namespace", "default", "of the pods in reviews")
	flags.StringVar(&given.networks, "networks", "", "that the pods in reviews ask for")
	flags.StringVar(&given.sizes, "sizes", "250,500,1000,2000", "pods with as many attachments, growing")
	flags.StringVar(&given.rates, "rates", "20,500", "changes a second")
	flags.IntVar(&given.rounds, "rounds", 3, "of each case")
	flags.IntVar(&given.turns, "turns", 2, "of each contender")
	flags.DurationVar(&given.seconds, "seconds", 10*time.Second, "of each rate")
	flags.DurationVar(&given.idle, "idle", 10*time.Second, "without a change")
	flags.DurationVar(&given.limit, "limit", time.Minute, "for a contender's first answer")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	var contenders []contender
	if err := json.NewDecoder(os.Stdin).Decode(&contenders); err != nil {
		return fmt.Errorf("read contenders: %w", err)
	}
	switch os.Args[1] {
	case "cold":
		return cold(ctx, given, contenders)
	case "steady":
		return steady(ctx, given, contenders)
	case "reviews":
		return reviews(ctx, given, contenders)
	}
	return fmt.Errorf("want cold, steady or reviews, not %q", os.Args[1])
}

func main() {
	// A contender ends with the thread that started it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
		os.Exit(1)
	}
}
