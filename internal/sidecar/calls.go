package sidecar

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"skr/api"
	"skr/internal/config"
	"skr/internal/sidecar/doctor"
)

// callsExpected is how long after its start a sidecar is called in a pod that works: kubelet probes every ten
// seconds by default (Kubernetes, "Configure Liveness, Readiness and Startup Probes").
const callsExpected = time.Minute

const (
	uncalled    = "nothing has called skr in the minute after its start, neither a probe of kubelet nor an application"
	uncalledFix = "if the pod is in state Init, skr is a plain init container, for whose end the application waits: " +
		"`kubectl get pod POD -o jsonpath={.spec.initContainers[*].restartPolicy}` must print Always. An old admission webhook, such as that " +
		"of Azure Workload Identity, or a cluster before 1.29 removes it: update it, or make skr an ordinary container. " +
		"If the pod runs, add probes, or ignore this until the application calls skr"
)

// calls notices that nothing calls this sidecar. A native sidecar that was turned into a plain init container looks
// like that from inside: kubelet does not probe it, and no other container starts before it ends.
type calls struct {
	kubernetes bool // whether this is a pod
	log        *slog.Logger
	some, late atomic.Bool
}

func newCalls(env config.Environment, log *slog.Logger) *calls {
	return &calls{kubernetes: env["KUBERNETES_SERVICE_HOST"] != "", log: log} // kubelet sets it in each container
}

// called notes a request to the local API. The doctor asks for the status, so that such a request does not count
// once the calls are late.
func (c *calls) called(path string) {
	if path != api.RouteStatus || !c.late.Load() {
		c.some.Store(true)
	}
}

// probed notes a probe.
func (c *calls) probed() { c.some.Store(true) }

// watch logs once if there are no calls in time.
func (c *calls) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(callsExpected):
	}
	c.late.Store(true)
	if problem := c.problem(); problem != nil {
		c.log.Warn(problem.Reason, "fix", problem.Fix)
	}
}

// problem returns nil unless calls are missing.
func (c *calls) problem() *doctor.Problem {
	if !c.kubernetes || !c.late.Load() || c.some.Load() {
		return nil
	}
	return &doctor.Problem{Part: doctor.PodStart, Reason: uncalled, Fix: uncalledFix}
}

// problems returns the optional parts that cannot be used, the sinks that are not up to date, and
// whether nothing calls this sidecar.
func (s *service) problems() []doctor.Problem {
	all := append(s.Parts.problems(), sinkProblems(s.files)...)
	if problem := s.calls.problem(); problem != nil {
		all = append(all, *problem)
	}
	return all
}
