package sidecar

import (
	"log/slog"
	"strings"

	"skr/internal/config"
	"skr/internal/sidecar/ops"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
)

// reserved is the number of descriptors for skr itself: the report socket or device and the TPM of each
// running request, connections to the authority and the vault, log, audit, configuration and secret
// memory.
const reserved = 128

// leastConnections is the minimum for each listener.
const leastConnections = 8

// connections limits the connections of the API listeners. gRPC has a limit of its own, because a gRPC
// connection uses more memory and carries many calls.
type connections struct{ http, grpc, agent *serving.Bound }

// agentConnections is the number of connections to the SSH agent. A client of it asks a few
// times and ends.
const agentConnections = 32

// idleConnections is the number of idle HTTP connections allowed: clients keep pools of them. A
// connection uses about 20 KiB while it sends a header, and less while it is idle.
const idleConnections = 640

// newConnections allows one connection for each request that may run or wait, and idle ones, within the
// limit of open files.
func newConnections(s *config.Settings, descriptors int, log *slog.Logger) connections {
	asking, grpc := s.MaxConcurrent+s.MaxQueued, server.MaxGRPCConnections
	free := descriptors - reserved
	if s.OpsListen != "" {
		free -= ops.MaxConnections
	}
	if s.GRPCListen != "" {
		grpc = within(grpc, free/4/descriptorsOf(s.GRPCListen))
		free -= grpc * descriptorsOf(s.GRPCListen)
	}
	if s.SSHAgentListen != "" {
		free -= agentConnections * descriptorsOf(s.SSHAgentListen)
	}
	http := within(asking+idleConnections, free/descriptorsOf(s.Listen))
	if http < asking {
		log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than max_concurrent and max_queued",
			"limit", descriptors, "connections", http, "wanted", asking)
	}
	return connections{serving.NewBound(http, log), serving.NewBound(grpc, log), serving.NewBound(agentConnections, log)}
}

func within(wanted, fit int) int { return max(min(wanted, fit), leastConnections) }

// descriptorsOf returns the descriptors of a connection. On a socket, a second one refers to the caller's
// process.
func descriptorsOf(listen string) int {
	if strings.HasPrefix(listen, "unix:") {
		return 2
	}
	return 1
}
