package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	grpccodes "google.golang.org/grpc/codes"

	"skr/internal/sidecar/access"
	"skr/internal/sidecar/limit"
)

const (
	maxStreams  = 32       // of one connection; each waits for a place of the Gate
	maxMetadata = 8 << 10  // bytes; a call without a token has below 1 KiB
	window      = 64 << 10 // bytes of a stream that skr has not read yet (RFC 9113 section 6.9.1)
	connection  = 4 * window

	// maxResets is how many more calls of a connection may end without an answer than with
	// one. Beyond it the connection is closed.
	maxResets = 64

	// Calls without a permission have places of their own: a probe takes milliseconds, and
	// a client that lists the methods sends a few small messages.
	openPlaces = 32
	openRate   = 1000 // a second of one peer
	openQueue  = 64
	openBytes  = 16 << 10
	openReads  = 256 // each costs grpc.Server 16 KiB until it is done with it
)

// http2Server returns the server for gRPC: only HTTP/2, without TLS.
func (s *Server) http2Server(base context.Context) *http.Server {
	server := s.httpServer(base)
	server.Handler, server.MaxHeaderBytes, server.ConnContext = s.methods(), maxMetadata, withResets
	server.Protocols = new(http.Protocols)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReceiveBufferPerStream:     window,
		MaxReceiveBufferPerConnection: connection,
		WriteByteTimeout:              writeTimeout,
	}
	return server
}

// newLobby returns the places of requests that need no permission. rate is the rate of a
// caller with a permission.
func newLobby(rate float64) *limit.Gate {
	return limit.New(limit.Config{MaxConcurrent: openPlaces, MaxQueued: openQueue, Rate: max(rate, openRate)})
}

// resets counts the calls of a connection that ended before their answer.
type resets struct {
	conn  net.Conn
	count atomic.Int64
}

type resetsKey struct{}

// withResets is for the context of a connection.
func withResets(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(access.ConnContext(ctx, conn), resetsKey{}, &resets{conn: conn})
}

// countReset closes a connection that begins calls only to reset them (HTTP/2 rapid reset,
// CVE-2023-44487): each costs skr a goroutine and an admission, but its caller one frame.
func (m *methods) countReset(ctx context.Context, gone bool) {
	r, _ := ctx.Value(resetsKey{}).(*resets)
	switch {
	case r == nil:
	case !gone:
		r.count.Add(-1)
	case r.count.Add(1) == maxResets:
		m.config.GRPCConnections.Punish(peerOf(ctx))
		_ = r.conn.Close() // its answers are not read
	}
}

// serveOpen answers calls without a permission: health, reflection, and unknown methods.
func (m *methods) serveOpen(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), m.config.Deadline)
	defer cancel()
	leave, err := m.lobby.Enter(ctx, peerOf(r.Context()))
	if err != nil {
		m.holdBack(r)
		refuseOpenCall(w)
		return
	}
	defer leave()
	// A client that lists the methods keeps its stream open: its deadline is that of reading.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(m.config.Deadline))
	_ = control.SetWriteDeadline(time.Now().Add(m.config.Deadline))
	r.Body = &frugal{ReadCloser: r.Body, bytes: openBytes, reads: openReads}
	m.grpc.ServeHTTP(w, r)
	m.countReset(r.Context(), r.Context().Err() != nil)
}

// refuseOpenCall sends the shortest refusal of gRPC, a header with the status.
func refuseOpenCall(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", strconv.Itoa(int(grpccodes.ResourceExhausted)))
	header.Set("Grpc-Message", "throttled: too many calls at once, try again")
	w.WriteHeader(http.StatusOK)
}

var errTooMuch = errors.New("a call without a permission sent too much")

// frugal bounds what a body may cost.
type frugal struct {
	io.ReadCloser

	bytes, reads int
}

// Read returns an error after too many bytes or reads.
func (f *frugal) Read(p []byte) (int, error) {
	if f.bytes <= 0 || f.reads <= 0 {
		return 0, errTooMuch
	}
	n, err := f.ReadCloser.Read(p[:min(len(p), f.bytes)])
	f.bytes -= n
	f.reads--
	return n, err
}
