package sidecar

import (
	"context"
	"net"

	"skr/internal/observe/metrics"
	"skr/internal/secmem"
	"skr/internal/sidecar/doctor"
	"skr/internal/sidecar/ops"
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
		examined := s.Doctor(s.settings, s.Targets(), &Auditor{s.records, s.observer})
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
	return ops.Parts{{Name: "evidence", Err: s.ready.err}, {Name: "audit", Err: s.records.Err}}
}

func (o operations) serve(ctx context.Context) error {
	if o.server == nil {
		return nil
	}
	return o.server.Serve(ctx, o.socket)
}

// state returns the values that the metrics read.
func (s *service) state() metrics.State {
	return metrics.State{
		Ready:        func() bool { return s.parts().Err() == nil },
		Load:         s.gate.Load,
		Connections:  map[string]func() (int, uint64){"http": s.http.Load, "grpc": s.grpc.Load, "ssh_agent": s.agent.Load},
		Withheld:     s.records.Withheld,
		Certificates: s.endorser.Current,
		Token:        s.Releaser.Newest,
		OpenCircuits: s.out.OpenCircuits,
		SecretMemory: func() string { return string(secmem.Now().Protection) },
	}
}
