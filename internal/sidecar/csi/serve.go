package csi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"

	"skr/internal/secmem"
	"skr/internal/sidecar/csipb"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
)

const (
	maxRequest     = 1 << 20 // bytes; tokens and parameters take a few kilobytes
	maxConnections = 16      // the driver has one, a probe another
	maxMounts      = 64      // at once; the driver waits with the others
	headerTimeout  = 10 * time.Second
)

// Serve answers the driver until ctx ends, and closes the socket.
func (p *Provider) Serve(ctx context.Context, socket net.Listener) error {
	methods := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.StatsHandler(wiper{}))
	csipb.RegisterCSIDriverProviderServer(methods, p)
	grpc_health_v1.RegisterHealthServer(methods, server.NewHealth(p.config.Ready))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	// net/http serves gRPC, as in package server: the transport of grpc.Server would add to the program.
	s := &http.Server{
		Handler: methods, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxMounts},
		ReadHeaderTimeout: headerTimeout, ErrorLog: serving.Complaints(p.config.Logger),
	}
	if err := serving.Until(ctx, s, p.config.Grace, serving.NewBound(maxConnections, p.config.Logger).Listener(socket)); err != nil {
		return fmt.Errorf("serving the CSI driver: %w", err)
	}
	return nil
}

// wiper overwrites the files of an answer once gRPC has encoded it.
type wiper struct{}

var _ stats.Handler = wiper{}

// HandleRPC wipes an answer that was sent.
func (wiper) HandleRPC(_ context.Context, event stats.RPCStats) {
	if sent, ok := event.(*stats.OutPayload); ok {
		if response, ok := sent.Payload.(*csipb.MountResponse); ok {
			wipe(response)
		}
	}
}

// TagRPC returns ctx.
func (wiper) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn returns ctx.
func (wiper) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (wiper) HandleConn(context.Context, stats.ConnStats) {}

func wipe(response *csipb.MountResponse) {
	for _, file := range response.GetFiles() {
		secmem.Wipe(file.GetContents())
	}
}
