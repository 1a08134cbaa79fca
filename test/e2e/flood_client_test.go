package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"skr/test/program"
)

// TestMain turns this process into a flood if it was started as one.
func TestMain(m *testing.M) {
	if kind := os.Getenv("SKR_TEST_FLOOD"); kind != "" {
		floodFrom(kind, os.Getenv("SKR_TEST_FLOOD_HTTP"), os.Getenv("SKR_TEST_FLOOD_GRPC"))
		return
	}
	program.Main(m, "skr", "skrctl")
}

// flooder is a user ID that no access rule names.
const flooder = 61001

// wave is how many connections, streams or requests a flood sends before it reports. The
// flood continues until it is killed.
const wave = 2000

// floods maps names to floods. Each uses one connection and returns when that ends. It
// reports how many requests, streams or connections it sent.
var floods = map[string]func(conn net.Conn, sent func(int)) error{
	"idle connections": func(conn net.Conn, sent func(int)) error {
		sent(1)
		return untilClosed(conn)
	},
	"half-sent headers": func(conn net.Conn, sent func(int)) error {
		_, err := fmt.Fprintf(conn, "POST /key/release HTTP/1.1\r\nHost: localhost\r\nX-Pad: %s", strings.Repeat("x", 15<<10))
		sent(1)
		if err != nil {
			return err
		}
		return untilClosed(conn)
	},
	"refused requests": func(conn net.Conn, sent func(int)) error {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		for {
			if _, err := io.WriteString(conn, "POST /key/release HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"); err != nil {
				sent(1)
				return err
			}
			sent(1)
		}
	},
	"stalled streams": stalledStreams,
	"reset streams":   resetStreams,
}

// floodFrom runs one kind of flood from many connections, as another user.
func floodFrom(kind, http, grpc string) {
	if err := syscall.Setuid(flooder); err != nil {
		panic(err)
	}
	address := http
	if strings.HasSuffix(kind, "streams") {
		address = grpc
	}
	var sent atomic.Int64
	count := func(n int) {
		if now := sent.Add(int64(n)); now/wave > (now-int64(n))/wave {
			fmt.Println(now)
		}
	}
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			for {
				if conn, err := net.Dial("unix", address); err == nil {
					_ = floods[kind](conn, count)
					_ = conn.Close()
				}
				count(1)
				time.Sleep(50 * time.Millisecond) // floods skr, but does not stall a machine with two processors
			}
		})
	}
	all.Wait()
}

// untilClosed waits until the other side closes the connection.
func untilClosed(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	return err
}

// stalledStreams requests a key in many streams, and finishes none of the messages.
func stalledStreams(conn net.Conn, sent func(int)) error {
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if err := greet(conn); err != nil {
		return err
	}
	// The flag, a length of 200 KiB, and as much as a stream may send before the server reads it.
	message := append([]byte{0, 0, 3, 0x20, 0}, make([]byte, 60<<10)...)
	for stream := uint32(1); stream < 256; stream += 2 {
		if err := askStream(conn, stream, message); err != nil {
			return err
		}
		sent(1)
	}
	for { // new streams begin while others end
		time.Sleep(time.Second)
		if err := writeFrame(conn, frameWindowUpdate, 0, 0, []byte{0, 0, 0, 1}); err != nil {
			return err
		}
	}
}

// resetStreams begins calls and ends them at once (HTTP/2 rapid reset, CVE-2023-44487).
func resetStreams(conn net.Conn, sent func(int)) error {
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if err := greet(conn); err != nil {
		return err
	}
	const cancelled = 8
	for stream := uint32(1); ; stream += 2 {
		if err := writeFrame(conn, frameHeaders, flagEndHeaders, stream, unwrapHeaders()); err != nil {
			return err
		}
		if err := writeFrame(conn, frameReset, 0, stream, []byte{0, 0, 0, cancelled}); err != nil {
			return err
		}
		sent(1)
	}
}

// HTTP/2 frames (RFC 9113 section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	frameWindowUpdate = 8
	flagEndHeaders    = 4
	maxFrame          = 16 << 10
)

// greet sends a client's preface and empty settings (section 3.4).
func greet(conn net.Conn) error {
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		return err
	}
	return writeFrame(conn, frameSettings, 0, 0, nil)
}

// askStream begins a call and sends a part of its message.
func askStream(conn net.Conn, stream uint32, message []byte) error {
	if err := writeFrame(conn, frameHeaders, flagEndHeaders, stream, unwrapHeaders()); err != nil {
		return err
	}
	for len(message) > 0 {
		n := min(len(message), maxFrame)
		if err := writeFrame(conn, frameData, 0, stream, message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// unwrapHeaders are the headers of a call, as literals without an index (RFC 7541 section
// 6.2.2).
func unwrapHeaders() (block []byte) {
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/keyprovider.KeyProviderService/UnWrapKey"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		block = append(block, 0, byte(len(field[0])))
		block = append(append(block, field[0]...), byte(len(field[1])))
		block = append(block, field[1]...)
	}
	return block
}

func writeFrame(conn net.Conn, kind, flags byte, stream uint32, payload []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, err := conn.Write(append(head, payload...))
	return err
}
