package httpclient

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"skr/internal/cache"
)

const (
	// aheadFor is how long a connection that was made ahead waits for its request.
	aheadFor = 10 * time.Second
	// maxAhead bounds such connections of one caller, and the hosts that are remembered
	// for it; maxAllAhead those of all callers.
	maxAhead    = 16
	maxAllAhead = 4 * maxAhead
	// warmFor is how long after a request its connection is taken to be open still.
	warmFor = idleTimeout - 10*time.Second
)

// ahead makes connections before the request that needs them: the handshake costs no
// time while the request waits for something else.
type ahead struct {
	dial   dialFunc
	config *tls.Config

	mu    sync.Mutex
	early map[string]*early               // by address, at most maxAllAhead
	last  *cache.Cache[string, time.Time] // by address, of the last answer
}

// early is a connection that is being made, or waits.
type early struct {
	caller string // is about to ask
	done   chan struct{}
	conn   *tls.Conn // valid after done
	err    error     // valid after done
	end    *time.Timer
}

func newAhead(dial dialFunc, config *tls.Config) *ahead {
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	return &ahead{dial: dial, config: config, early: make(map[string]*early), last: cache.New[string, time.Time](maxAhead)}
}

// Connect makes a connection to an https host ("contoso.vault.azure.net", a port may
// follow) that the next request to it takes, unless one is open or on its way. It
// does not wait, and drops an error: the request will meet it itself. For a host behind
// a proxy it does nothing. ctx names the caller; its end ends nothing.
func (t *Transport) Connect(ctx context.Context, host string) {
	u := &url.URL{Scheme: "https", Host: host}
	if t.base.Proxy != nil {
		if proxy, err := t.base.Proxy(&http.Request{URL: u}); proxy != nil || err != nil {
			return
		}
	}
	t.ahead.begin(cache.Caller(ctx), addressOf(u))
}

func addressOf(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

func (a *ahead) begin(caller, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, _ := a.last.Peek(address)
	if a.early[address] != nil || time.Since(last) < warmFor || !a.room(caller) {
		return
	}
	e := &early{caller: caller, done: make(chan struct{})}
	e.end = time.AfterFunc(aheadFor, func() { a.abandon(address, e) })
	a.early[address] = e
	go a.make(address, e)
}

// room reports whether the caller may have one more.
func (a *ahead) room(caller string) bool {
	own := 0
	for _, e := range a.early {
		if e.caller == caller {
			own++
		}
	}
	return own < maxAhead && len(a.early) < maxAllAhead
}

func (a *ahead) make(address string, e *early) {
	defer close(e.done)
	ctx, cancel := context.WithTimeout(context.Background(), aheadFor)
	defer cancel()
	e.conn, e.err = a.connect(ctx, "tcp", address)
}

// abandon closes a connection that no request has taken.
func (a *ahead) abandon(address string, e *early) {
	if a.claim(address) != e {
		return
	}
	if <-e.done; e.conn != nil {
		_ = e.conn.Close()
	}
}

func (a *ahead) claim(address string) *early {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.early[address]
	delete(a.early, address)
	return e
}

// dialTLS is how the transport connects: with the connection made ahead, if there is
// one, else with its own.
func (a *ahead) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	if e := a.claim(address); e != nil {
		e.end.Stop()
		select {
		case <-e.done:
		case <-ctx.Done():
			go func() {
				if <-e.done; e.conn != nil {
					_ = e.conn.Close()
				}
			}()
			return nil, ctx.Err()
		}
		if e.err == nil {
			return e.conn, nil
		}
	}
	conn, err := a.connect(ctx, network, address)
	if err != nil {
		return nil, err // not conn: a nil *tls.Conn is no nil net.Conn
	}
	return conn, nil
}

func (a *ahead) connect(ctx context.Context, network, address string) (*tls.Conn, error) {
	plain, err := a.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := a.config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(address)
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return conn, nil
}

// answered notes that there is a connection now.
func (a *ahead) answered(caller, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last.Put(caller, address, time.Now())
}
