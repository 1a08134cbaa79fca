package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"skr/internal/admission"
	"skr/internal/audit"
	"skr/internal/metrics"
	"skr/internal/ops"
	"skr/internal/secmem"
)

// operations is the listener for kubelet and Prometheus; the zero one is none.
type operations struct {
	server *ops.Server
	socket net.Listener
}

func listenOps(ctx context.Context, address string, ready *readiness, records *audit.Log, told *observer, log *slog.Logger) (operations, error) {
	if address == "" {
		return operations{}, nil
	}
	server, err := ops.New(ops.Config{
		Parts:   []ops.Part{{Name: "evidence", Err: ready.err}, {Name: "audit", Err: records.Err}},
		Metrics: told.metrics, Logger: log,
	})
	if err != nil {
		return operations{}, err
	}
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return operations{}, &configError{fmt.Errorf("ops_listen: %w", err)}
	}
	log.Info("operations", "address", socket.Addr().String())
	return operations{server, socket}, nil
}

func (o operations) serve(ctx context.Context) error {
	if o.server == nil {
		return nil
	}
	return o.server.Serve(ctx, o.socket)
}

// state is what the metrics look at.
func (p *sidecar) state(ready *readiness, gate *admission.Gate) metrics.State {
	return metrics.State{
		Ready:        func() bool { return ready.err() == nil },
		Load:         gate.Load,
		Certificates: p.endorser.Current,
		Token:        p.releaser.Newest,
		OpenCircuits: p.out.openCircuits,
		SecretMemory: func() string { return string(secmem.Now().Protection) },
	}
}
