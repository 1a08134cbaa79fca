package serving

import (
	"errors"
	"log"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// acceptPause is how long Accept waits when the system has no descriptor or memory for
// a connection. Its caller would otherwise end, or wait up to a second.
const acceptPause = 20 * time.Millisecond

// Bound limits how many connections are open at once on the listeners that share it. A
// connection beyond the limit is closed at once: one that waits in a queue would hold
// the place of a caller that comes later.
//
// One peer has at most as many connections as are free, so there is room for a second
// peer whatever the first does, and for a third whatever the first two do. See [Peer].
// One user of a unix socket opens a bounded number of connections a second, too. It is
// safe for concurrent use.
type Bound struct {
	max      int
	complain *log.Logger
	arrivals *arrivals

	mu      sync.Mutex
	open    int
	surplus uint64
	peers   map[string]int // open connections, never 0
}

// NewBound returns a Bound. logger gets a warning, at most one a minute, when
// connections are closed.
func NewBound(connections int, logger *slog.Logger) *Bound {
	return &Bound{max: connections, complain: Complaints(logger), arrivals: newArrivals(), peers: map[string]int{}}
}

// Max returns how many connections may be open.
func (b *Bound) Max() int { return b.max }

// Load returns how many connections are open, and how many were closed at once so far.
func (b *Bound) Load() (open int, surplus uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open, b.surplus
}

// Listener returns socket with the limit.
func (b *Bound) Listener(socket net.Listener) net.Listener {
	return &bounded{Listener: socket, bound: b, closed: make(chan struct{})}
}

// Punish keeps a user of a unix socket from connecting for a second. It is for one whose
// connection had to be closed.
func (b *Bound) Punish(peer string) { b.arrivals.punish(peer) }

func (b *Bound) enter(peer string) bool {
	inTime := b.arrivals.admit(peer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !inTime || b.peers[peer] >= b.max-b.open {
		b.surplus++
		b.complain.Printf("closing a connection of %s, which has %d of %d that are open; %d are possible", peer, b.peers[peer], b.open, b.max)
		return false
	}
	b.open++
	b.peers[peer]++
	return true
}

func (b *Bound) leave(peer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.peers[peer]--; b.peers[peer] == 0 {
		delete(b.peers, peer)
	}
}

type bounded struct {
	net.Listener

	bound  *Bound
	closed chan struct{}
	once   sync.Once
}

// Accept returns the next connection within the limit. It retries where the system is
// short of descriptors or memory.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if isShortage(err) && l.pause() {
			continue
		}
		if err != nil {
			return nil, err
		}
		peer := Peer(conn)
		if l.bound.enter(peer) {
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { l.bound.leave(peer) })}, nil
		}
		_ = conn.Close() // it has no answer to lose
	}
}

// isShortage reports whether the next Accept may succeed, accept(2).
func isShortage(err error) bool {
	for _, passing := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// pause reports whether the listener is still open.
func (l *bounded) pause() bool {
	select {
	case <-l.closed:
		return false
	case <-time.After(acceptPause):
		return true
	}
}

// Close also ends an Accept that pauses.
func (l *bounded) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placed is a connection that gives its place back once.
type placed struct {
	net.Conn

	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// SyscallConn implements [syscall.Conn], by which package access asks for the peer.
func (p *placed) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := p.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
