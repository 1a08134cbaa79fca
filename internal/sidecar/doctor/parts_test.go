package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"skr/attest"
	"skr/attest/uvm"
	"skr/internal/check"
)

// TestParts checks that each unusable part has its own check without requirements. If all
// parts are usable, there are no such checks.
func TestParts(t *testing.T) {
	problems := []Problem{{"tracing", "no such protocol", "correct it"}, {"wrap_keys", "not mounted", "mount it"}}
	e := &examination{Config: Config{Problems: func() []Problem { return problems }}}
	steps := e.partSteps()
	if len(steps) != len(problems) {
		t.Fatalf("%d steps", len(steps))
	}
	for i, c := range steps {
		found, err := c.look(t.Context())
		if err != nil || c.name != optionalParts || c.subject != problems[i].Part || len(c.needs) > 0 ||
			found.Outcome != check.Warning || !strings.Contains(found.Found, problems[i].Reason) || found.Fix != problems[i].Fix {
			t.Errorf("step %+v found %+v, error %v", c, found, err)
		}
	}
	problems = []Problem{{PodStart, "nothing has called skr", "look at the pod"}}
	if steps := e.partSteps(); len(steps) != 1 || steps[0].name != podStart || steps[0].subject != "" {
		t.Errorf("steps %+v of a sidecar that nothing has called", steps)
	} else if found, err := steps[0].look(t.Context()); err != nil || found.Outcome != check.Warning || found.Found != "nothing has called skr" {
		t.Errorf("%+v, error %v", found, err)
	}
	problems = nil
	if steps := e.partSteps(); len(steps) != 0 {
		t.Errorf("steps %+v of no problems", steps)
	}
}

// TestLocalSidecar checks the sidecar's own problems, whether it is ready or not.
func TestLocalSidecar(t *testing.T) {
	some := []Problem{{"ops_listen", "address in use", "use another"}}
	uncalled := Problem{PodStart, "nothing has called skr", "look at the pod"}
	for name, c := range map[string]struct {
		problems []Problem
		err      error
		want     string
	}{
		"ready, all well":   {nil, nil, "answers and is ready"},
		"ready without":     {some, nil, "is ready, and runs without ops_listen: address in use"},
		"not ready without": {some, errors.New("not ready"), "is not ready, and runs without ops_listen: address in use"},
		"which part":        {nil, &NotReadyError{"audit: unavailable"}, "answers and is not ready: audit: unavailable"},
		"part, and without": {some, &NotReadyError{"audit: unavailable"}, "audit: unavailable; it runs without ops_listen: address in use"},
		"none":              {nil, errors.New("refused"), "no sidecar that is ready"},
		"never called":      {append(some, uncalled), nil, "is ready, and runs without ops_listen: address in use"},
	} {
		e := &examination{Config: Config{Local: func(context.Context) ([]Problem, error) { return c.problems, c.err }}}
		found, err := e.lookAtLocal(t.Context())
		if err != nil || !strings.Contains(found.Found, c.want) || (found.Outcome == check.OK) != (c.problems == nil && c.err == nil) {
			t.Errorf("%s: %+v, error %v", name, found, err)
		}
		if (e.uncalled != nil) != (name == "never called") {
			t.Errorf("%s: %+v", name, e.uncalled)
		}
	}
}

// TestPodStart checks that the examination ends with a check of its own if nothing has called the sidecar on this
// machine, and has none otherwise.
func TestPodStart(t *testing.T) {
	uncalled := Problem{PodStart, "nothing has called skr", "look at the pod"}
	for name, problems := range map[string][]Problem{"called": nil, "never called": {uncalled}} {
		d := New(Config{
			Attester: attest.NewAttester(attest.Config{}), Context: &uvm.SecurityContext{},
			Local: func(context.Context) ([]Problem, error) { return problems, nil },
		})
		results := d.Examine(t.Context())
		last := results[len(results)-1]
		if (last.Name == podStart) != (problems != nil) {
			t.Errorf("%s: the last check is %+v", name, last)
		}
		if problems != nil && (last.Outcome != check.Warning || last.Found != uncalled.Reason || last.Fix != uncalled.Fix) {
			t.Errorf("%s: %+v", name, last)
		}
	}
}
