package sidecar

import (
	"context"
	"net"
	"time"

	"skr/internal/observe/metrics"
	"skr/internal/secmem"
	"skr/internal/sidecar/doctor"
	"skr/internal/sidecar/ops"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
)

// operations is the listener for kubelet and Prometheus. The zero value is no listener.
type operations struct {
	server *ops.Server
	socket net.Listener
}

// listenOps opens the listener. skr runs without it if there is an error.
func (s *service) listenOps(ctx context.Context) (operations, error) {
	if s.settings.OpsListen == "" {
		return operations{}, nil
	}
	config := ops.Config{
		Parts: s.parts(), Metrics: s.observer.metrics, Probed: s.calls.probed, Logger: s.log,
	}
	if s.settings.OpsDoctor {
		examined := s.Doctor(s.settings, s.Targets(), s.auditor)
		examined.Problems = s.problems
		config.Doctor = doctor.NewHandler(doctor.New(examined))
	}
	server, err := ops.New(config)
	if err != nil {
		return operations{}, err
	}
	var listen net.ListenConfig
	socket, err := listen.Listen(ctx, "tcp", s.settings.OpsListen)
	if err != nil {
		return operations{}, serving.WithHolder(err)
	}
	s.log.Info("operations", "address", socket.Addr().String())
	return operations{server, socket}, nil
}

// parts returns the parts that must be ready before keys can be released.
func (s *service) parts() ops.Parts {
	parts := ops.Parts{{Name: "evidence", Err: s.ready.err}, {Name: "audit", Err: s.records.Err}}
	if s.files.Len() > 0 {
		parts = append(parts, ops.Part{Name: "sinks", Err: s.files.Err})
	}
	return parts
}

func (o operations) serve(ctx context.Context) error {
	if o.server == nil {
		return nil
	}
	return o.server.Serve(ctx, o.socket)
}

// endorsed returns the times of the certificate chain, or on TDX those of the collateral.
func (p *Parts) endorsed() (fetched, expires time.Time) {
	if fetched, expires = p.endorser.Current(); !fetched.IsZero() {
		return fetched, expires
	}
	return p.quotes.Current()
}

// state returns the values that the metrics read.
func (s *service) state(local *server.Server) metrics.State {
	return metrics.State{
		Ready:        func() bool { return s.parts().Err() == nil },
		Load:         s.gate.Load,
		Connections:  s.loads(),
		Withheld:     s.records.Withheld,
		Watchers:     local.Watchers,
		Sinks:        func() (all, failing int) { return s.files.Len(), len(s.files.Problems()) },
		Certificates: s.endorsed,
		Token:        s.Releaser.Newest,
		OpenCircuits: s.out.OpenCircuits,
		SecretMemory: func() string { return string(secmem.Now().Protection) },
	}
}

// loads returns, by listener, the functions that count its connections.
func (s *service) loads() map[string]func() (open int, closed uint64) {
	return map[string]func() (int, uint64){"http": s.http.Load, "grpc": s.grpc.Load, "ssh_agent": s.agent.Load}
}
