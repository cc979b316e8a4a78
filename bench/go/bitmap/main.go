// bitmap takes and gives back addresses of an IPv4 range by the allocator with which the API server
// gives Services theirs, and prints a line of JSON for each case: how long a pair took.
//
//	bitmap -operations 200000 -rounds 5
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
)

// The fullest leaves one address to be found.
var fills = []int{0, 50, 99, 100}

func main() {
	operations := flag.Int("operations", 100000, "pairs of a round")
	rounds := flag.Int("rounds", 5, "of each case")
	flag.Parse()
	out := json.NewEncoder(os.Stdout)
	for _, bits := range []int{28, 24, 16} {
		for _, fill := range fills {
			took, err := measure(bits, fill, *operations, *rounds)
			if err != nil {
				log.Fatalf("bitmap of /%d, %d %% full: %v", bits, fill, err)
			}
			for round, nanoseconds := range took {
				line := map[string]any{"bits": bits, "full": fill, "round": round, "nanoseconds": nanoseconds}
				if err := out.Encode(line); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
}

func measure(bits, fill, operations, rounds int) ([]float64, error) {
	_, cidr, err := net.ParseCIDR(fmt.Sprintf("10.0.0.0/%d", bits))
	if err != nil {
		return nil, err
	}
	allocator, err := ipallocator.NewInMemory(cidr)
	if err != nil {
		return nil, err
	}
	for left := allocator.Free(); left > 1 && 100*allocator.Used() < fill*(allocator.Used()+left); left = allocator.Free() {
		if _, err := allocator.AllocateNext(); err != nil {
			return nil, err
		}
	}
	var took []float64
	for round := 0; round < rounds; round++ {
		begin := time.Now()
		for i := 0; i < operations; i++ {
			ip, err := allocator.AllocateNext()
			if err != nil {
				return nil, err
			}
			if err := allocator.Release(ip); err != nil {
				return nil, err
			}
		}
		took = append(took, float64(time.Since(begin).Nanoseconds())/float64(operations))
	}
	return took, nil
}
