package emulator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"skr/internal/sidecar/serving"
)

// listenInternal also accepts addresses that other machines of an internal network can reach. It
// refuses them if a route leads out of that network.
func listenInternal(ctx context.Context, address string) (*server, error) {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || parsed.Addr().IsLoopback() {
		return listenLoopback(ctx, address)
	}
	way, err := routeOut("/proc/net/route", "/proc/net/ipv6_route")
	if err != nil {
		return nil, fmt.Errorf("finding the routes of this network: %w", err)
	}
	if way != "" {
		return nil, fmt.Errorf("the network is not internal: interface %s has a route to other networks; use a network without one "+
			"(internal: true in a Compose file, podman network create --internal), or a loopback address", way)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, serving.WithHolder(err)
	}
	return &server{listener: listener}, nil
}

// routeOut returns the interface of a route that leads to other networks, or "". The files are in
// the form of Linux: proc_pid_net(5), and net/ipv6/route.c for IPv6. Without IPv6 there is no second
// file.
func routeOut(v4, v6 string) (string, error) {
	text, err := os.ReadFile(v4)
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(text), "\n")[1:] { // the first has the names of the columns
		if f := strings.Fields(line); len(f) >= 8 && (!zero(f[2]) || zero(f[1]) && zero(f[7])) { // gateway, destination, mask
			return f[0], nil
		}
	}
	text, err = os.ReadFile(v6)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // destination, its prefix, source, its prefix, next hop, …, interface
		if len(f) >= 10 && f[9] != "lo" && (!zero(f[4]) || zero(f[0]) && zero(f[1])) {
			return f[9], nil
		}
	}
	return "", nil
}

// zero reports whether a hexadecimal number is zero.
func zero(hexadecimal string) bool { return strings.Trim(hexadecimal, "0") == "" }
