package serving

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// incoming is a listener whose connections come from the given addresses.
type incoming struct {
	addresses []string
	errors    []error // errors that Accept returns before the first connection
}

func (a *incoming) Accept() (net.Conn, error) {
	if len(a.errors) > 0 {
		err := a.errors[0]
		a.errors = a.errors[1:]
		return nil, err
	}
	if len(a.addresses) == 0 {
		return nil, net.ErrClosed
	}
	address := a.addresses[0]
	a.addresses = a.addresses[1:]
	ours, _ := net.Pipe()
	return from{ours, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}}, nil
}
func (*incoming) Close() error   { return nil }
func (*incoming) Addr() net.Addr { return nil }

type from struct {
	net.Conn

	address net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// A peer gets half of the free connections. The next peer finds room, and so does the one
// after it. A connection that ends frees its place once.
func TestShares(t *testing.T) {
	var log bytes.Buffer
	b := NewBound(8, slog.New(slog.NewTextHandler(&log, nil)))
	accept := func(address string) net.Conn {
		conn, _ := b.Listener(&incoming{addresses: []string{address}}).Accept()
		return conn
	}
	first := accept("192.0.2.1")
	for range 3 {
		accept("192.0.2.1")
	}
	for _, c := range []struct {
		address string
		want    bool
	}{
		{"192.0.2.1", false}, {"192.0.2.2", true}, {"192.0.2.2", true}, {"192.0.2.2", false}, {"192.0.2.3", true}, {"192.0.2.3", false},
	} {
		if got := accept(c.address) != nil; got != c.want {
			t.Errorf("%s: accepted is %v", c.address, got)
		}
	}
	if open, surplus := b.Load(); open != 7 || surplus != 3 {
		t.Errorf("%d open, %d closed at once", open, surplus)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "closing a connection of 192.0.2.1") {
		t.Errorf("the log is %s", &log)
	}
	_ = first.Close()
	_ = first.Close()
	if open, _ := b.Load(); open != 6 {
		t.Errorf("%d open after one has closed", open)
	}
}

// A user may open a bounded number of connections a second, and none for a second after a
// punishment. The loopback interface as a whole has no such limit.
func TestArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals()
		count := func(peer string) (n int) {
			for range 2 * arrivalRate {
				if a.admit(peer) {
					n++
				}
			}
			return n
		}
		for peer, want := range map[string]int{"uid 1": arrivalRate, "uid 2": arrivalRate, "loopback": 2 * arrivalRate} {
			if got := count(peer); got != want {
				t.Errorf("%s opened %d at once, want %d", peer, got, want)
			}
		}
		time.Sleep(time.Second)
		a.punish("uid 1")
		time.Sleep(time.Second)
		if a.admit("uid 1") || count("uid 2") != arrivalRate {
			t.Error("the punishment is too short or hits another user")
		}
		for i := range 2 * maxUsers {
			a.admit(fmt.Sprint("uid ", i))
		}
		if a.users.Len() > maxUsers {
			t.Errorf("%d users are recorded", a.users.Len())
		}
	})
}

// Connections beyond the limit are closed and do not wait.
func TestSurplusIsClosed(t *testing.T) {
	socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l := NewBound(2, slog.New(slog.DiscardHandler)).Listener(socket)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	for i := range 4 {
		conn, err := net.Dial("unix", socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i > 0 {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("connection %d: %v, want EOF", i, err)
			}
		}
	}
}

// A shortage is temporary. Other errors and the end of the listener are not.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := &net.OpError{Op: "accept", Err: syscall.EMFILE}
		l := NewBound(2, slog.New(slog.DiscardHandler)).Listener(&incoming{addresses: []string{"192.0.2.1"}, errors: []error{short, syscall.ECONNABORTED}})
		if _, err := l.Accept(); err != nil {
			t.Error(err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		_ = l.Close()
		l = NewBound(2, slog.New(slog.DiscardHandler)).Listener(&incoming{errors: []error{short, short}})
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%v after the end", err)
		}
	})
}

func TestPeer(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1": "loopback", "127.9.9.9": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback", "192.0.2.1": "192.0.2.1",
		"2001:db8::1": "2001:db8::/64", "2001:db8::ffff:1": "2001:db8::/64", "2001:db8:0:1::1": "2001:db8:0:1::/64",
	} {
		ours, _ := net.Pipe()
		if got := Peer(from{ours, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}}); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
	ours, _ := net.Pipe()
	if got := Peer(ours); got != "unknown" {
		t.Errorf("a pipe is %q", got)
	}
}

func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		complain := Complaints(slog.New(slog.NewTextHandler(&text, nil)))
		for range 100 {
			complain.Print("bogus greeting")
		}
		if n := strings.Count(text.String(), "bogus greeting"); n != 1 {
			t.Errorf("%d lines", n)
		}
		time.Sleep(complainEvery)
		complain.Print("another")
		if !strings.Contains(text.String(), "msg=another untold=99") {
			t.Error(text.String())
		}
	})
}

// The process of a connection that is closed or not a socket is unknown. It does not count as root's.
func TestProcess(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	client, err := net.Dial("unix", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if process := Process(client); process == nil || int(process.Uid) != os.Getuid() || int(process.Pid) != os.Getpid() {
		t.Errorf("process %+v", process)
	}
	_ = client.Close()
	for name, conn := range map[string]net.Conn{"pipe": ours, "closed": client} {
		if process := Process(conn); process != nil {
			t.Errorf("%s: process %+v", name, process)
		}
	}
}
