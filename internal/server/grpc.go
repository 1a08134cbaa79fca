package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"

	"skr/internal/access"
	"skr/internal/crash"
	"skr/internal/journal"
	"skr/internal/keyproviderpb"
	"skr/internal/keyproviderpb/ocicryptpb"
	"skr/internal/refusal"
)

// The routes of gRPC, as access policies, log and metrics name them. The methods
// of ocicrypt's own service are those of the other.
const (
	RouteWrap        = keyproviderpb.KeyProviderService_WrapKey_FullMethodName
	RouteUnwrap      = keyproviderpb.KeyProviderService_UnWrapKey_FullMethodName
	RouteReport      = keyproviderpb.KeyProviderService_GetReport_FullMethodName
	RouteAttestation = keyproviderpb.KeyProviderService_GetAttestationData_FullMethodName
	RouteHello       = keyproviderpb.KeyProviderService_SayHello_FullMethodName
)

// GRPCRoutes are those of the key provider.
func GRPCRoutes() []string {
	return []string{RouteWrap, RouteUnwrap, RouteReport, RouteAttestation, RouteHello}
}

// grpcRoutes is also the table of methods that ask for a place and a permission.
// Health and reflection need neither: they tell nobody anything.
var grpcRoutes = map[string]string{
	RouteWrap: RouteWrap, RouteUnwrap: RouteUnwrap, RouteReport: RouteReport, RouteAttestation: RouteAttestation, RouteHello: RouteHello,
	ocicryptpb.KeyProviderService_WrapKey_FullMethodName:   RouteWrap,
	ocicryptpb.KeyProviderService_UnWrapKey_FullMethodName: RouteUnwrap,
}

const maxStreams = 128 // of one connection; each waits for a place of the Gate

// ServeGRPC answers the key provider's methods until ctx ends, as Serve does the
// HTTP routes. It closes the listener.
func (s *Server) ServeGRPC(ctx context.Context, l *Listener) error {
	server := s.grpcServer()
	failed := make(chan error, len(l.sockets))
	for _, socket := range l.sockets {
		go func() { failed <- server.Serve(socket) }()
	}
	select {
	case err := <-failed:
		server.Stop()
		return fmt.Errorf("server: accepting gRPC: %w", err)
	case <-ctx.Done():
		return s.stopGRPC(server)
	}
}

func (s *Server) stopGRPC(server *grpc.Server) error {
	ended := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(s.config.Grace):
		server.Stop()
		return fmt.Errorf("server: stopping: cutting off gRPC requests after %v", s.config.Grace)
	}
}

func (s *Server) grpcServer() *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(plain{}),
		grpc.MaxRecvMsgSize(int(s.config.MaxBody)), grpc.MaxSendMsgSize(int(s.config.MaxBody)),
		grpc.MaxHeaderListSize(maxHeader), grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(readHeaderTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout}),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(guardStream),
	)
	provider := &provider{Server: s, openers: newOpeners(s.config.KeyTTL)}
	keyproviderpb.RegisterKeyProviderServiceServer(server, provider)
	ocicryptpb.RegisterKeyProviderServiceServer(server, ocicrypt{provider: provider})
	grpc_health_v1.RegisterHealthServer(server, health{ready: s.config.Ready})
	reflection.Register(server)
	return server
}

// plain hands the connection on to the interceptor, which asks for its peer.
type plain struct{}

var _ credentials.TransportCredentials = plain{}

type connection struct {
	credentials.CommonAuthInfo

	net.Conn
}

// AuthType is for people.
func (connection) AuthType() string { return "plain" }

func (plain) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c, connection{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, c}, nil
}

func (plain) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("server: not a client")
}

func (plain) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "plain"}
}
func (p plain) Clone() credentials.TransportCredentials { return p }
func (plain) OverrideServerName(string) error           { return nil }

// unary is ServeHTTP for a method.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	path, found := grpcRoutes[info.FullMethod]
	if !found {
		return guarded(func() (any, error) { return handler(ctx, request) })
	}
	headers, _ := metadata.FromIncomingContext(ctx)
	x := &exchange{id: knownID(first(headers, "x-request-id")), begin: s.config.Now(), path: path, method: "gRPC", parent: first(headers, "traceparent")}
	ctx, cancel := context.WithTimeout(ctx, s.config.Deadline)
	defer cancel()
	ctx, notes := journal.With(ctx, x.id)
	response, err := s.answerGRPC(ctx, headers, x, func(ctx context.Context) (any, error) { return handler(ctx, request) })
	if errors.Is(ctx.Err(), context.Canceled) {
		err = gone(err)
	}
	v := verdict{status: http.StatusOK, code: CodeOK}
	if err != nil {
		v = judge(err)
	}
	noted := notes.Notes()
	x.end = s.config.Now()
	s.finish(ctx, x, v, err, noted)
	_ = grpc.SetHeader(ctx, metadata.Join(metadata.Pairs("x-request-id", x.id), originOf(x, noted))) // a caller that is gone needs none
	if err != nil {
		return nil, statusOf(v, x.id)
	}
	return response, nil
}

// originOf is tellOrigin for a method.
func originOf(x *exchange, noted journal.Notes) metadata.MD {
	header := http.Header{}
	tellOrigin(header, x, noted)
	told := metadata.MD{}
	for name, values := range header {
		told.Append(name, values...) // in lower case
	}
	return told
}

func (s *Server) answerGRPC(ctx context.Context, headers metadata.MD, x *exchange, answer func(context.Context) (any, error)) (any, error) {
	leave, err := journal.Do(ctx, journal.Admit, func() (func(), error) { return s.admitGRPC(ctx, headers, x) })
	if err != nil {
		return nil, err
	}
	defer leave()
	return guarded(func() (any, error) { return answer(withExchange(access.With(ctx, x.caller), x)) })
}

// admitGRPC is admit for a method: the same callers, the same places.
func (s *Server) admitGRPC(ctx context.Context, headers metadata.MD, x *exchange) (func(), error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, refusal.Newf(refusal.CallerNotAllowed, "the connection is not known")
	}
	if from.LocalAddr.Network() != "unix" && !s.isLocalHost(first(headers, ":authority")) {
		return nil, refusal.Newf(refusal.CallerNotAllowed, "the authority must name this machine: localhost, 127.0.0.1 or [::1]")
	}
	if info, ok := from.AuthInfo.(connection); ok {
		ctx = access.ConnContext(ctx, info.Conn)
	}
	if err := s.identify(ctx, headers.Get("authorization"), x); err != nil {
		return nil, err
	}
	return s.config.Gate.Enter(ctx, x.caller.Limit())
}

func first(headers metadata.MD, name string) string {
	if values := headers.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
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
