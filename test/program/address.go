package program

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// Ports of FreeAddress are below those that the system assigns to connections and to
// listeners on port 0 (32768 and up, ip_local_port_range in ip(7)). Nothing takes such a port
// between FreeAddress and the start of a program.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// nextPort begins at random, because several processes search for ports at the same time.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(lastPort - firstPort)) }

// FreeAddress returns an address of 127.0.0.1 at which nothing listens. It returns each
// address once.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range lastPort - firstPort {
		port := firstPort + nextPort.Add(1)%(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(port), 10))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("all ports are taken")
	return ""
}
