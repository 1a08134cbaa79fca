package main

import (
	"log/slog"
	"strings"

	"skr/internal/ops"
	"skr/internal/server"
	"skr/internal/serving"
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

// connections allows one for each request that may run or wait, as far as the limit of
// open files leaves room.
func (s *settings) connections(descriptors int, log *slog.Logger) connections {
	http, grpc := s.MaxConcurrent+s.MaxQueued, server.MaxGRPCConnections
	free := descriptors - keptBack
	if s.OpsListen != "" {
		free -= ops.MaxConnections
	}
	if s.GRPCListen != "" {
		grpc = within(grpc, free/4/descriptorsOf(s.GRPCListen))
		free -= grpc * descriptorsOf(s.GRPCListen)
	}
	if fit := within(http, free/descriptorsOf(s.Listen)); fit < http {
		log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than requests may run and wait",
			"limit", descriptors, "connections", fit, "wanted", http)
		http = fit
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
