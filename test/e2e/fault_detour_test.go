package e2e

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"skr/api"
	"skr/test/emulator"
)

// gate is an address that is bound and at which nothing listens, so that connections are
// refused. Once open, it leads to a service.
type gate struct {
	address string
	target  net.Addr
	socket  int
}

// newGate binds a free loopback port, or for a unix socket a path beside it. While it is
// bound, no other process can listen there.
func newGate(t *testing.T, target net.Addr) *gate {
	t.Helper()
	g := &gate{target: target}
	family, own := syscall.AF_INET, syscall.Sockaddr(&syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if target.Network() == "unix" {
		g.address = target.String() + ".gate"
		family, own = syscall.AF_UNIX, &syscall.SockaddrUnix{Name: g.address}
		t.Cleanup(func() { _ = os.Remove(g.address) })
	}
	var err error
	if g.socket, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(g.socket) })
	if err := syscall.Bind(g.socket, own); err != nil {
		t.Fatal(err)
	}
	if bound, err := syscall.Getsockname(g.socket); err != nil {
		t.Fatal(err)
	} else if inet, ok := bound.(*syscall.SockaddrInet4); ok {
		g.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(inet.Port))
	}
	return g
}

func (g *gate) port() string {
	_, port, _ := net.SplitHostPort(g.address)
	return port
}

// open lets all connections through from now on.
func (g *gate) open(t *testing.T) {
	t.Helper()
	if err := syscall.Listen(g.socket, 16); err != nil {
		t.Fatal(err)
	}
	copied, err := syscall.Dup(g.socket)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(copied), "gate")
	defer func() { _ = file.Close() }()
	listener, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.relay(conn)
		}
	}()
}

func (g *gate) relay(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	onward, err := net.Dial(g.target.Network(), g.target.String())
	if err != nil {
		return
	}
	defer func() { _ = onward.Close() }()
	go func() {
		_, _ = io.Copy(onward, conn)
		_ = onward.Close()
	}()
	_, _ = io.Copy(conn, onward)
}

// detour puts a gate in a service's place. If the request names the service's address,
// the service recovers at its own address; otherwise it recovers when the gate opens.
type detour struct {
	gate  *gate
	env   []string
	named func(*api.ReleaseRequest) // nil if the environment names the service
}

func reportDetour(t *testing.T, f *faulty) detour {
	g := newGate(t, &net.UnixAddr{Net: "unix", Name: f.cloud.Machine().Socket()})
	return detour{gate: g, env: []string{"SKR_REPORT_SOURCE=unix:" + g.address}}
}

func thimDetour(t *testing.T, f *faulty) detour {
	g := newGate(t, metadataAddress(f.cloud))
	path := strings.TrimPrefix(environmentOf(f.cloud)["SKR_THIM_URL"], f.cloud.IMDSURL())
	return detour{gate: g, env: []string{"SKR_THIM_URL=http://" + g.address + path}}
}

func imdsDetour(t *testing.T, f *faulty) detour {
	g := newGate(t, metadataAddress(f.cloud))
	return detour{gate: g, env: []string{"SKR_IMDS_URL=http://" + g.address}}
}

func cacheDetour(t *testing.T, f *faulty) detour {
	return urlDetour(t, f, "SKR_AZURE_CACHE_URL", f.cloud.AzureCacheURL())
}

func kdsDetour(t *testing.T, f *faulty) detour {
	return urlDetour(t, f, "SKR_KDS_URL", f.cloud.KDSURL())
}

func entraDetour(t *testing.T, f *faulty) detour {
	return urlDetour(t, f, "AZURE_AUTHORITY_HOST", "https://"+f.cloud.LoginHost()+"/")
}

// urlDetour changes the port in the URL of a variable.
func urlDetour(t *testing.T, f *faulty, variable, value string) detour {
	g := newGate(t, tlsAddress(f.cloud))
	_, port, _ := net.SplitHostPort(f.cloud.AttestationHost())
	return detour{gate: g, env: []string{variable + "=" + strings.Replace(value, ":"+port, ":"+g.port(), 1)}}
}

func maaDetour(t *testing.T, f *faulty) detour {
	g := newGate(t, tlsAddress(f.cloud))
	host := "sharedeus.eus.attest.localhost:" + g.port()
	return detour{g, []string{"SKR_MAA_ALLOW=" + host + "," + environmentOf(f.cloud)["SKR_MAA_ALLOW"]},
		func(r *api.ReleaseRequest) { r.MAAEndpoint = host }}
}

func vaultDetour(t *testing.T, f *faulty) detour {
	g := newGate(t, tlsAddress(f.cloud))
	host := ".vault.localhost:" + g.port()
	return detour{g, []string{"SKR_VAULT_ALLOW=*" + host + "," + environmentOf(f.cloud)["SKR_VAULT_ALLOW"]},
		func(r *api.ReleaseRequest) { r.AKVEndpoint = "demo" + host }}
}

func metadataAddress(cloud *emulator.Cloud) net.Addr {
	address := must(netip.ParseAddrPort(strings.TrimPrefix(cloud.IMDSURL(), "http://")))
	return net.TCPAddrFromAddrPort(address)
}

func tlsAddress(cloud *emulator.Cloud) net.Addr {
	_, port, _ := net.SplitHostPort(cloud.AttestationHost())
	return must(net.ResolveTCPAddr("tcp", "127.0.0.1:"+port))
}

// decoy is the host that redirects name; it counts its guests.
type decoy struct {
	address string
	guests  atomic.Int64
}

func newDecoy(t *testing.T) *decoy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	d := &decoy{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			d.guests.Add(1)
			_ = conn.Close()
		}
	}()
	return d
}
