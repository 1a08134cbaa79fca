package sidecar

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skr/api"
	"skr/attest/tdx"
	"skr/internal/config"
	"skr/internal/sidecar/doctor"
)

// TestCalls checks that a sidecar in a pod reports that nothing calls it, once, and no longer than that is so.
func TestCalls(t *testing.T) {
	pod := config.Environment{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
	for name, test := range map[string]struct {
		env           config.Environment
		before, after func(*calls) // the minute
		missing       bool
		logged        bool
	}{
		"nothing":                {pod, nothing, nothing, true, true},
		"outside of Kubernetes":  {nil, nothing, nothing, false, false},
		"a probe of kubelet":     {pod, (*calls).probed, nothing, false, false},
		"skr healthcheck":        {pod, asks(api.RouteStatus), nothing, false, false},
		"a release":              {pod, asks(api.RouteRelease), nothing, false, false},
		"the doctor, later":      {pod, nothing, asks(api.RouteStatus), true, true},
		"a late probe":           {pod, nothing, (*calls).probed, false, true},
		"a late release":         {pod, nothing, asks(api.RouteRelease), false, true},
		"a late health check":    {pod, nothing, asks("/grpc.health.v1.Health/Check"), false, true},
		"an unknown route, late": {pod, nothing, asks("none"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := newCalls(test.env, slog.New(slog.NewTextHandler(&log, nil)))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go c.watch(ctx)
				time.Sleep(callsExpected - time.Second) // of the bubble
				if c.problem() != nil {
					t.Error("reported too early")
				}
				test.before(c)
				time.Sleep(time.Minute)
				synctest.Wait()
				test.after(c)
				problem := c.problem()
				if (problem != nil) != test.missing || problem != nil && (problem.Part != doctor.PodStart || problem.Fix != FixOf[problem.Part]) {
					t.Errorf("problem %+v", problem)
				}
				if got := strings.Count(log.String(), "nothing has called skr"); got > 1 || (got == 1) != test.logged {
					t.Errorf("the log is %q", log.String())
				}
			})
		})
	}
}

func nothing(*calls) {}

func asks(path string) func(*calls) { return func(c *calls) { c.called(path) } }

// TestCallsEnd checks that the watch ends with its context.
func TestCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCalls(config.Environment{"KUBERNETES_SERVICE_HOST": "x"}, slog.New(slog.DiscardHandler))
		cancel()
		c.watch(ctx)
		if c.problem() != nil {
			t.Error("a sidecar that stops reports that nothing calls it")
		}
	})
}

// TestProblemsOfCalls checks that the lack of calls is among the problems that GET /status and the doctor report.
func TestProblemsOfCalls(t *testing.T) {
	s := &service{Parts: &Parts{Faults: new(faults), quotes: tdx.NewVerifier(tdx.Config{})}, calls: newCalls(config.Environment{"KUBERNETES_SERVICE_HOST": "x"}, slog.New(slog.DiscardHandler))}
	s.Faults.Add(wrapKeys, errors.New("not mounted"))
	if got := s.problems(); len(got) != 1 {
		t.Errorf("problems %+v before calls are late", got)
	}
	s.calls.late.Store(true)
	if got := told(s.problems()); len(got) != 2 || got[1].Part != doctor.PodStart || got[1].Problem != uncalled {
		t.Errorf("problems %+v", got)
	}
	s.calls.probed()
	if got := s.problems(); len(got) != 1 {
		t.Errorf("problems %+v after a probe", got)
	}
}
