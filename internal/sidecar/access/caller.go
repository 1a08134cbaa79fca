package access

import (
	"context"
	"fmt"
	"os"
	"strings"

	"skr/internal/cache"
)

// Caller identifies the process or token that asks. The zero Caller is unknown.
type Caller struct {
	local    bool // came to a listener of ours; false for the zero Caller
	known    bool // uid, gid and pid are the kernel's word
	uid, gid uint32
	pid      int32
	matched  uint64 // bit i: rule i of the Policy identifies it
	rule     string // the first of them
	pod      pod    // zero unless the caller is a pod
	file     string // that skr writes for itself; "" for another caller
}

// pod is a pod that a node's agent of Kubernetes asks for.
type pod struct{ namespace, name, account string }

// Pod returns the caller for requests on behalf of a pod, with its service account.
func Pod(namespace, name, account string) Caller { return Caller{pod: pod{namespace, name, account}} }

// Self returns the caller for requests of this process itself.
func Self() Caller {
	return Caller{
		known: true, pid: int32(os.Getpid()), //nolint:gosec // the kernel's numbers have 22 bits
		uid: uint32(os.Getuid()), gid: uint32(os.Getgid()), //nolint:gosec // and its ids 32
	}
}

// File returns the caller for what skr writes to a file that its configuration names.
func File(path string) Caller { return Caller{file: path} }

// String is for log and audit: "uid 1000 gid 1000 pid 4711 rule kafka", "rule
// kafka", "loopback", "pod shop/orders-0 service account orders", "sink /run/keys/orders.pem",
// "unknown".
func (c Caller) String() string {
	if c.file != "" {
		return "sink " + c.file
	}
	if c.pod != (pod{}) {
		return fmt.Sprintf("pod %s/%s service account %s", c.pod.namespace, c.pod.name, c.pod.account)
	}
	var words []string
	if c.known {
		words = append(words, fmt.Sprintf("uid %d gid %d pid %d", c.uid, c.gid, c.pid))
	}
	if c.rule != "" {
		words = append(words, "rule "+c.rule)
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, " ")
	case c.local:
		return "loopback"
	}
	return "unknown"
}

// Limit returns the name under which the caller's requests are counted: a pod's service
// account; otherwise the first rule, the uid, or all of the loopback interface together.
func (c Caller) Limit() string {
	switch {
	case c.pod != (pod{}):
		return fmt.Sprintf("service account %s/%s", c.pod.namespace, c.pod.account)
	case c.rule != "":
		return c.rule
	case c.known:
		return fmt.Sprintf("uid %d", c.uid)
	}
	return c.String()
}

// Rule is the name of the first rule that identifies the caller, or "".
func (c Caller) Rule() string { return c.rule }

// UID of the process that opened the connection, if the kernel told it.
func (c Caller) UID() (uint32, bool) { return c.uid, c.known }

// PID of that process, as the audit has it; it proves nothing. It is 0 where
// the process is in a namespace that is not visible from here.
func (c Caller) PID() int32 { return c.pid }

type callerKey struct{}

// With returns a context that knows the caller, who holds what is kept under its
// [Caller.Limit].
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(cache.For(ctx, c.Limit()), callerKey{}, c)
}

// From is the caller that ctx knows, or the zero Caller.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
