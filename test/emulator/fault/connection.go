package fault

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"
)

// Connect decides the fate of a new connection to service by the rules with the
// given actions, Refuse or TLS. A failed connection counts as a request,
// because no request follows.
func (p *Plan) Connect(service string, actions ...Action) (Rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rule, faulty := p.fire(service, func(r *Rule) bool { return slices.Contains(actions, r.Do) })
	if faulty {
		p.requests[service]++
	}
	return rule, faulty
}

// Offset returns the offset of the service's clock, the sum of its rules.
func (p *Plan) Offset(service string) (offset time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.rules {
		if a.Do == Clock && a.covers(service) {
			offset += a.Offset
		}
	}
	return offset
}

// failsConnections reports whether a rule fails new connections to service. Open
// connections are then closed at their next request; otherwise clients would
// never see the rule.
func (p *Plan) failsConnections(service string, encrypted bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.rules, func(a *active) bool {
		return (a.Do == Refuse || a.Do == TLS && encrypted) && a.covers(service) && !a.spent()
	})
}

// Listener returns a listener that passes on the connections of next, except
// those that a Refuse rule resets.
func (p *Plan) Listener(service string, next net.Listener) net.Listener {
	return &listener{next, p, service}
}

type listener struct {
	net.Listener
	plan    *Plan
	service string
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if _, faulty := l.plan.Connect(l.service, Refuse); !faulty {
			return conn, nil
		}
		ResetConn(conn)
	}
}

// ResetConn closes a connection so that the client sees a reset.
func ResetConn(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // drops unsent data and sends RST
	}
	_ = conn.Close()
}

type connKey struct{}

// ConnContext lets Wrap close a whole connection; use it in http.Server.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// closeConnection closes the connection under a request, if ConnContext recorded it.
func closeConnection(ctx context.Context) {
	conn, ok := ctx.Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	if encrypted, is := conn.(*tls.Conn); is {
		conn = encrypted.NetConn()
	}
	ResetConn(conn)
}
