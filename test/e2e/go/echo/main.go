// Command echo answers by HTTP, gRPC and plain TCP with the name of its host and the address that it was
// asked from, and asks others that do.
//
//	echo serve                    HTTP at 8080, gRPC at 9090, TCP at 9000; ends at SIGTERM, whatever it does
//	echo ask KIND ADDRESS [HOST]  one question (http, grpc, tcp); the answer to stdout
//	echo load RATE STOP TARGET... asks each NAME=KIND,ADDRESS[,HOST] RATE times a second until the file
//	                              STOP is there; counts of what was answered to stdout, as JSON
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// patience is how long a question may take.
const patience = 3 * time.Second

// workers ask each target, so that a slow answer delays a part of the questions alone.
const workers = 4

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) >= 3 && len(args) <= 4 && args[0] == "ask":
		one, err := newTarget(strings.Join(args[1:], ","))
		if err != nil {
			return err
		}
		answer, err := one.ask()
		if err == nil {
			fmt.Println(answer)
		}
		return err
	case len(args) >= 4 && args[0] == "load":
		rate, err := strconv.ParseFloat(args[1], 64)
		if err != nil || rate <= 0 {
			return fmt.Errorf("read rate %q: want a number above 0", args[1])
		}
		return load(rate, args[2], args[3:])
	}
	return errors.New("want serve, ask KIND ADDRESS [HOST], or load RATE STOP TARGET")
}

// answer is what each question gets: who was asked, and from where.
func answer(from string) string {
	host, _ := os.Hostname()
	if address, _, err := net.SplitHostPort(from); err == nil {
		from = address
	}
	return host + " " + from
}

type healthServer struct {
	health.UnimplementedHealthServer
}

func (healthServer) Check(
	ctx context.Context, _ *health.HealthCheckRequest,
) (*health.HealthCheckResponse, error) {
	from := ""
	if caller, ok := peer.FromContext(ctx); ok {
		from = caller.Addr.String()
	}
	if err := grpc.SetHeader(ctx, metadata.Pairs("answer", answer(from))); err != nil {
		return nil, err
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func serve() error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		os.Exit(0)
	}()
	plain, err := net.Listen("tcp", ":9000")
	if err != nil {
		return err
	}
	go answerPlain(plain)
	calls, err := net.Listen("tcp", ":9090")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	health.RegisterHealthServer(server, healthServer{})
	go func() { log.Fatal(server.Serve(calls)) }()
	return http.ListenAndServe(":8080", http.HandlerFunc(
		func(out http.ResponseWriter, request *http.Request) {
			fmt.Fprint(out, answer(request.RemoteAddr))
		}))
}

func answerPlain(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer client.Close()
			_ = client.SetDeadline(time.Now().Add(patience))
			if _, err := client.Read(make([]byte, 1)); err == nil {
				fmt.Fprint(client, answer(client.RemoteAddr().String()))
			}
		}()
	}
}

// target is what is asked: by HTTP and TCP with a connection of its own each time, by gRPC over one.
type target struct {
	kind, address, host string
	calls               health.HealthClient
}

func newTarget(text string) (*target, error) {
	words := strings.Split(text, ",")
	if len(words) < 2 || len(words) > 3 {
		return nil, fmt.Errorf("read target %q: want KIND,ADDRESS or KIND,ADDRESS,HOST", text)
	}
	one := &target{kind: words[0], address: words[1]}
	if len(words) == 3 {
		one.host = words[2]
	}
	switch one.kind {
	case "http", "tcp":
	case "grpc":
		connection, err := grpc.NewClient("passthrough:///"+one.address,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(one.host))
		if err != nil {
			return nil, err
		}
		one.calls = health.NewHealthClient(connection)
	default:
		return nil, fmt.Errorf("read target %q: kind is %q, want http, grpc or tcp", text, one.kind)
	}
	return one, nil
}

func (t *target) ask() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch t.kind {
	case "http":
		return t.askHTTP(ctx)
	case "grpc":
		var header metadata.MD
		_, err := t.calls.Check(ctx, &health.HealthCheckRequest{}, grpc.Header(&header))
		return strings.Join(header.Get("answer"), " "), err
	}
	return t.askPlain(ctx)
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (t *target) askHTTP(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.address+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = t.host
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	return string(body), nil
}

func (t *target) askPlain(ctx context.Context) (string, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := connection.Write([]byte("?")); err != nil {
		return "", err
	}
	said, err := io.ReadAll(connection)
	if err == nil && len(said) == 0 {
		err = errors.New("closed without an answer")
	}
	return string(said), err
}

// count is what became of the questions to one target; why has each kind of failure with its second.
type count struct {
	OK     int            `json:"ok"`
	Failed int            `json:"failed"`
	Why    map[string]int `json:"why"`
}

func load(rate float64, stop string, texts []string) error {
	counts := map[string]*count{}
	var lock sync.Mutex
	var running sync.WaitGroup
	ended := make(chan struct{})
	begin := time.Now()
	for _, text := range texts {
		name, what, _ := strings.Cut(text, "=")
		one, err := newTarget(what)
		if err != nil {
			return err
		}
		mine := &count{Why: map[string]int{}}
		counts[name] = mine
		for range workers {
			running.Go(func() {
				pace := time.NewTicker(time.Duration(workers / rate * float64(time.Second)))
				defer pace.Stop()
				for {
					select {
					case <-ended:
						return
					case <-pace.C:
					}
					_, err := one.ask()
					lock.Lock()
					if err == nil {
						mine.OK++
					} else {
						mine.Failed++
						mine.Why[fmt.Sprintf("%d s: %v", int(time.Since(begin).Seconds()), err)]++
					}
					lock.Unlock()
				}
			})
		}
	}
	for {
		if _, err := os.Stat(stop); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	close(ended)
	running.Wait()
	return json.NewEncoder(os.Stdout).Encode(counts)
}
