// grpcproxy passes every method of every gRPC service from one unix socket to another: the relay
// that one writes with grpc-go, which the agent's is compared with. Messages aren't decoded, and
// their buffers aren't copied.
//
//	grpcproxy -listen /run/proxy.sock -runtime /run/containerd/containerd.sock
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Both directions carry any number of messages; a unary call is one with one each.
var anyStream = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// message is one as it came, in gRPC's own counted buffers.
type message struct{ data mem.BufferSlice }

type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is that of the default codec, so that the content type on the wire stays.
func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(value any) (mem.BufferSlice, error) {
	from, ok := value.(*message)
	if !ok {
		return nil, fmt.Errorf("marshal a %T: want a *message", value)
	}
	return from.data, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, value any) error {
	to, ok := value.(*message)
	if !ok {
		return fmt.Errorf("unmarshal into a %T: want a *message", value)
	}
	data.Ref()
	to.data = data
	return nil
}

// pass hands messages on until one side ends; io.EOF where it ended as it should.
func pass(from, to grpc.Stream, first func() error) error {
	for {
		var one message
		if err := from.RecvMsg(&one); err != nil {
			return err
		}
		if first != nil {
			if err := first(); err != nil {
				return err
			}
			first = nil
		}
		// Frees the buffers once they are written.
		if err := to.SendMsg(&one); err != nil {
			return err
		}
	}
}

func handler(runtime *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, down grpc.ServerStream) error {
		method, ok := grpc.MethodFromServerStream(down)
		if !ok {
			return status.Error(codes.Internal, "a stream without a method")
		}
		ctx, cancel := context.WithCancel(down.Context())
		defer cancel()
		if incoming, ok := metadata.FromIncomingContext(ctx); ok {
			ctx = metadata.NewOutgoingContext(ctx, incoming.Copy())
		}
		up, err := runtime.NewStream(ctx, anyStream, method)
		if err != nil {
			return err
		}
		requests := make(chan error, 1)
		go func() {
			err := pass(down, up, nil)
			if errors.Is(err, io.EOF) {
				err = up.CloseSend()
			}
			if err != nil {
				cancel()
			}
			requests <- err
		}()
		err = pass(up, down, func() error {
			header, err := up.Header()
			if err != nil {
				return err
			}
			return down.SendHeader(header)
		})
		down.SetTrailer(up.Trailer())
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

func main() {
	listen := flag.String("listen", "", "path of the socket that is served")
	endpoint := flag.String("runtime", "", "path of the socket that calls go to")
	flag.Parse()
	runtime, err := grpc.NewClient("unix:"+*endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"),
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}),
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		log.Fatal(err)
	}
	socket, err := net.Listen("unix", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnknownServiceHandler(handler(runtime)))
	log.Fatal(server.Serve(socket))
}
