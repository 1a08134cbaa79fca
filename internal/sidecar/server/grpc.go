package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"

	"skr/api"
	"skr/internal/crash"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/sidecar/keyproviderpb/ocicryptpb"
	"skr/internal/sidecar/keyspb"
	"skr/internal/sidecar/serving"
)

// The routes of gRPC, as access policies, log and metrics name them. The methods of
// ocicrypt's own service have the same routes.
const (
	RouteWrap        = keyproviderpb.KeyProviderService_WrapKey_FullMethodName
	RouteUnwrap      = keyproviderpb.KeyProviderService_UnWrapKey_FullMethodName
	RouteReport      = keyproviderpb.KeyProviderService_GetReport_FullMethodName
	RouteAttestation = keyproviderpb.KeyProviderService_GetAttestationData_FullMethodName
	RouteHello       = keyproviderpb.KeyProviderService_SayHello_FullMethodName
)

// GRPCRoutes returns the routes of the key provider.
func GRPCRoutes() []string {
	return []string{RouteWrap, RouteUnwrap, RouteReport, RouteAttestation, RouteHello}
}

// AttestingRoutes returns the routes that give evidence over data of the caller.
func AttestingRoutes() []string {
	return []string{api.RouteRaw, api.RouteCombined, api.RouteMAA, RouteReport, RouteAttestation}
}

// providerRoutes maps the key provider's methods to their routes.
var providerRoutes = map[string]string{
	RouteWrap: RouteWrap, RouteUnwrap: RouteUnwrap, RouteReport: RouteReport, RouteAttestation: RouteAttestation, RouteHello: RouteHello,
	ocicryptpb.KeyProviderService_WrapKey_FullMethodName:   RouteWrap,
	ocicryptpb.KeyProviderService_UnWrapKey_FullMethodName: RouteUnwrap,
}

// routeOf returns the route of a method that needs a permission and a place to run. Health and
// reflection need no permission: their answers are not secret.
func routeOf(method string) (route string, found bool) {
	if route, found = providerRoutes[method]; !found {
		route, found = keysRoutes[method]
	}
	return route, found
}

// ServeGRPC answers the methods of the key provider and of keys in use until ctx ends, as Serve does the
// HTTP routes. It closes the listener.
func (s *Server) ServeGRPC(ctx context.Context, l *Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer s.refusalLog.count()
	if err := serving.Until(ctx, s.http2Server(base), s.config.Grace, s.sockets(l, s.config.GRPCConnections)...); err != nil {
		return fmt.Errorf("gRPC: %w", err)
	}
	return nil
}

// methods is a handler for HTTP/2. It admits a request before grpc.Server receives it: the
// transport of grpc.Server buffers messages of callers that are not admitted yet, and a
// frame of one byte costs it a hundred bytes.
type methods struct {
	*Server

	grpc *grpc.Server
}

func (s *Server) methods() *methods {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(int(s.config.MaxBody)), grpc.MaxSendMsgSize(int(s.config.MaxBody)),
		grpc.UnaryInterceptor(answerCall), grpc.StreamInterceptor(guardStream), grpc.StatsHandler(wiper{}),
	)
	provider := &provider{Server: s}
	keyproviderpb.RegisterKeyProviderServiceServer(server, provider)
	ocicryptpb.RegisterKeyProviderServiceServer(server, ocicrypt{provider: provider})
	keyspb.RegisterKeysServer(server, keys{server: s})
	grpc_health_v1.RegisterHealthServer(server, health{ready: s.config.Parts.Err})
	reflection.Register(server)
	return &methods{s, server}
}

// ServeHTTP answers one call.
func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.config.Called(r.URL.Path)
	path, found := routeOf(r.URL.Path)
	if !found {
		m.serveOpen(w, r)
		return
	}
	x := &exchange{
		id: knownID(r.Header.Get("X-Request-Id")), begin: m.config.Now(),
		path: path, method: "gRPC", parent: r.Header.Get("Traceparent"),
	}
	ctx, notes := journal.With(r.Context(), x.id)
	c := &call{exchange: x, deadline: time.Now().Add(m.config.Deadline), notes: notes, done: make(chan struct{})}
	m.serveCall(w, r.WithContext(ctx), x, c)
	v := reply{status: http.StatusOK, code: CodeOK}
	if c.err != nil {
		v = classify(c.err)
	} else {
		m.credit(x, notes.Notes())
	}
	x.end = m.config.Now()
	m.countReset(ctx, v.status == statusGone)
	m.finish(ctx, x, v, c.err, notes.Notes())
}

// serveCall admits the call, reads its message, and then passes it to grpc.Server. It passes
// a refusal too, so that the answer has the form of gRPC.
func (m *methods) serveCall(w http.ResponseWriter, r *http.Request, x *exchange, c *call) {
	ctx, cancel := context.WithDeadline(r.Context(), c.deadline)
	defer cancel()
	admitted := journal.Begin(ctx, journal.Admit)
	leave, err := m.admitGRPC(ctx, r, x)
	admitted(err)
	if err != nil {
		m.holdBack(r)
		m.forward(w, r, c.refused(err), emptyMessage)
		return
	}
	defer leave()
	received := journal.Begin(ctx, journal.Receive)
	message, err := m.receive(ctx, w, r, frameHeader+m.config.MaxBody)
	received(err)
	defer clear(message)
	if err != nil {
		m.forward(w, r, c.refused(err), emptyMessage)
		return
	}
	m.forward(w, r.WithContext(access.With(r.Context(), x.caller)), c, message)
}

// forward passes the call to grpc.Server. The context of the request has no deadline: it
// would cut off the answer that reports it. The call keeps its place until its work is
// done, even if the caller has gone and grpc.Server has returned.
func (m *methods) forward(w http.ResponseWriter, r *http.Request, c *call, message []byte) {
	defer c.wait(r.Context())
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	r.Body = io.NopCloser(&atOnce{message})
	m.grpc.ServeHTTP(w, r)
}

// A message of gRPC has a header of a flag and four bytes of length
// (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
const frameHeader = 5

var emptyMessage = make([]byte, frameHeader)

// admitGRPC is admit for a method.
func (m *methods) admitGRPC(ctx context.Context, r *http.Request, x *exchange) (func(), error) {
	if !overUnix(r) && !m.isLocalHost(r.Host) {
		return nil, refusal.Newf(refusal.CallerNotAllowed, "the authority must name this machine: localhost, 127.0.0.1 or [::1]")
	}
	return m.enter(ctx, r.Header.Values("Authorization"), x)
}

// originOf returns the headers of setOrigin as metadata.
func originOf(x *exchange, noted journal.Notes) metadata.MD {
	header := http.Header{}
	setOrigin(header, x, noted)
	origin := metadata.MD{}
	for name, values := range header {
		origin.Append(name, values...) // in lower case
	}
	return origin
}

// guarded turns a panic into an error.
func guarded(answer func() (any, error)) (response any, err error) {
	err = crash.Guard(func() (err error) {
		response, err = answer()
		return err
	})
	return response, err
}

// guardStream is for reflection, the only stream.
func guardStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return crash.Guard(func() error { return handler(service, stream) })
}

// atOnce returns the whole message in one Read if the buffer has room. grpc.Server allocates
// 16 KiB for each Read, however little it returns.
type atOnce struct{ rest []byte }

func (a *atOnce) Read(p []byte) (int, error) {
	n := copy(p, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}
