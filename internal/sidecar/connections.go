package sidecar

import (
	"log/slog"
	"strings"

	"skr/internal/config"
	"skr/internal/sidecar/ops"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
)

// keptBack descriptors are for what skr itself opens: the report socket or device and
// the TPM for each request that runs, connections to the authority and the vault, log,
// audit, configuration, and secret memory.
const keptBack = 128

// leastConnections of a listener: with fewer, skr would answer nobody.
const leastConnections = 8

// connections of the API listeners. They are bounds of their own, because one of gRPC
// takes more memory and carries many calls.
type connections struct{ http, grpc *serving.Bound }

// idleConnections of HTTP may be open beside those that ask: clients keep pools of them.
// One takes about 20 KiB while it sends a header, and less while it is idle.
const idleConnections = 640

// connections allows one for each request that may run or wait, and idle ones, as far as
// the limit of open files leaves room.
func newConnections(s *config.Settings, descriptors int, log *slog.Logger) connections {
	asking, grpc := s.MaxConcurrent+s.MaxQueued, server.MaxGRPCConnections
	free := descriptors - keptBack
	if s.OpsListen != "" {
		free -= ops.MaxConnections
	}
	if s.GRPCListen != "" {
		grpc = within(grpc, free/4/descriptorsOf(s.GRPCListen))
		free -= grpc * descriptorsOf(s.GRPCListen)
	}
	http := within(asking+idleConnections, free/descriptorsOf(s.Listen))
	if http < asking {
		log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than requests may run and wait",
			"limit", descriptors, "connections", http, "wanted", asking)
	}
	return connections{serving.NewBound(http, log), serving.NewBound(grpc, log)}
}

func within(wanted, fit int) int { return max(min(wanted, fit), leastConnections) }

// descriptorsOf a connection: one on a socket has a second, of the caller's process.
func descriptorsOf(listen string) int {
	if strings.HasPrefix(listen, "unix:") {
		return 2
	}
	return 1
}
