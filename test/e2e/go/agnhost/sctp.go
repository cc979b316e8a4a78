package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// SCTP's first two packets (RFC 9260), by raw sockets: kernels of test machines may lack SCTP, and
// whether an INIT is answered is all that suites ask.

const (
	protocol    = 132
	portsPrefix = "SERVE_SCTP_PORT_"
	again       = time.Second
	longest     = 1500

	commonHeader = 12
	initHeader   = 20
	cookieHeader = 8

	chunkInit    = 1
	chunkInitAck = 2
	chunkAbort   = 6
	paramCookie  = 7

	window  = 1 << 16
	streams = 1
)

var families = []string{"ip4", "ip6"}

// Whether the kernel has it.
func hasSCTP() bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, protocol)
	if err != nil {
		return !errors.Is(err, syscall.EPROTONOSUPPORT)
	}
	syscall.Close(fd)
	return true
}

// packet is one with a single chunk. The checksum is the only field that is little endian.
func packet(from, to uint16, verification uint32, chunk []byte) []byte {
	made := make([]byte, commonHeader, commonHeader+len(chunk))
	binary.BigEndian.PutUint16(made, from)
	binary.BigEndian.PutUint16(made[2:], to)
	binary.BigEndian.PutUint32(made[4:], verification)
	made = append(made, chunk...)
	sum := crc32.Checksum(made, crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(made[8:], sum)
	return made
}

// initiation is the chunk INIT, or with a cookie INIT ACK.
func initiation(kind byte, tag uint32) []byte {
	length := initHeader
	if kind == chunkInitAck {
		length += cookieHeader
	}
	chunk := make([]byte, length)
	chunk[0] = kind
	binary.BigEndian.PutUint16(chunk[2:], uint16(length))
	binary.BigEndian.PutUint32(chunk[4:], tag)
	binary.BigEndian.PutUint32(chunk[8:], window)
	binary.BigEndian.PutUint16(chunk[12:], streams)
	binary.BigEndian.PutUint16(chunk[14:], streams)
	binary.BigEndian.PutUint32(chunk[16:], tag)
	if kind == chunkInitAck {
		binary.BigEndian.PutUint16(chunk[initHeader:], paramCookie)
		binary.BigEndian.PutUint16(chunk[initHeader+2:], cookieHeader)
	}
	return chunk
}

type head struct {
	from, to     uint16
	verification uint32
	kind         byte
	tag          uint32 // of an INIT or INIT ACK
}

func parse(content []byte) (head, bool) {
	if len(content) < commonHeader+4 {
		return head{}, false
	}
	read := head{
		from:         binary.BigEndian.Uint16(content),
		to:           binary.BigEndian.Uint16(content[2:]),
		verification: binary.BigEndian.Uint32(content[4:]),
		kind:         content[commonHeader],
	}
	if len(content) >= commonHeader+8 {
		read.tag = binary.BigEndian.Uint32(content[commonHeader+4:])
	}
	return read, true
}

// serveSCTP answers INITs at the ports of the environment. It returns only with an error.
func serveSCTP(*cobra.Command, []string) error {
	ports := map[uint16]bool{}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if port, found := strings.CutPrefix(name, portsPrefix); found {
			number, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			ports[uint16(number)] = true
		}
	}
	failed := make(chan error)
	for _, family := range families {
		socket, err := net.ListenIP(fmt.Sprintf("%s:%d", family, protocol), nil)
		if err != nil {
			return fmt.Errorf("listen for SCTP: %w", err)
		}
		go func() { failed <- answer(socket, ports) }()
	}
	return <-failed
}

func answer(socket *net.IPConn, ports map[uint16]bool) error {
	content := make([]byte, longest)
	for {
		length, from, err := socket.ReadFromIP(content)
		if err != nil {
			return err
		}
		asked, found := parse(content[:length])
		if !found || asked.kind != chunkInit || !ports[asked.to] {
			continue
		}
		said := packet(asked.to, asked.from, asked.tag, initiation(chunkInitAck, rand.Uint32()|1))
		socket.WriteToIP(said, from) //nolint:errcheck // who asks asks again
	}
}

// askSCTP prints why it isn't answered, as agnhost's connect does.
func askSCTP(target string, timeout time.Duration) error {
	host, service, err := net.SplitHostPort(target)
	if err != nil {
		return fmt.Errorf("UNKNOWN: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return fmt.Errorf("UNKNOWN: %w", err)
	}
	address, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return fmt.Errorf("DNS: %w", err)
	}
	family := "ip4"
	if address.IP.To4() == nil {
		family = "ip6"
	}
	socket, err := net.DialIP(fmt.Sprintf("%s:%d", family, protocol), nil, address)
	if err != nil {
		return fmt.Errorf("OTHER: %w", err)
	}
	defer socket.Close()
	const firstPort, ofPorts = 32768, 28000
	own := uint16(firstPort + rand.IntN(ofPorts))
	tag := rand.Uint32() | 1
	content := make([]byte, longest)
	for end := time.Now().Add(timeout); time.Now().Before(end); {
		if _, err := socket.Write(packet(own, uint16(port), 0, initiation(chunkInit, tag))); err != nil {
			return fmt.Errorf("OTHER: %w", err)
		}
		socket.SetReadDeadline(time.Now().Add(min(again, time.Until(end)))) //nolint:errcheck
		for {
			length, _, err := socket.ReadFromIP(content) // without an IP header
			if err != nil {
				break // nobody answered in time
			}
			said, found := parse(content[:length])
			if !found || said.from != uint16(port) || said.to != own || said.verification != tag {
				continue
			}
			if said.kind == chunkAbort {
				return errors.New("REFUSED")
			}
			if said.kind == chunkInitAck {
				// The other end forgets it.
				abort := []byte{chunkAbort, 0, 0, 4}
				socket.Write(packet(own, uint16(port), said.tag, abort)) //nolint:errcheck
				return nil
			}
		}
	}
	return errors.New("TIMEOUT")
}
