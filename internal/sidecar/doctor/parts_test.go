package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestParts: each part that cannot be used has a check of its own, which needs no
// other; without any there is none.
func TestParts(t *testing.T) {
	problems := []Problem{{"tracing", "no such protocol", "correct it"}, {"wrap_keys", "not mounted", "mount it"}}
	e := &examination{Config: Config{Problems: func() []Problem { return problems }}}
	checks := e.partChecks()
	if len(checks) != len(problems) {
		t.Fatalf("%d checks", len(checks))
	}
	for i, c := range checks {
		found, err := c.look(t.Context())
		if err != nil || c.name != optionalParts || c.subject != problems[i].Part || len(c.needs) > 0 ||
			found.status != Warning || !strings.Contains(found.evidence, problems[i].Reason) || found.fix != problems[i].Fix {
			t.Errorf("check %+v found %+v, error %v", c, found, err)
		}
	}
	problems = nil
	if checks := e.partChecks(); len(checks) != 0 {
		t.Errorf("checks %+v of no problems", checks)
	}
}

// TestTold: the sidecar's own problems, ready or not.
func TestTold(t *testing.T) {
	some := []Problem{{"ops_listen", "address in use", "use another"}}
	for name, c := range map[string]struct {
		problems []Problem
		err      error
		want     string
	}{
		"ready, all well":   {nil, nil, "answers and is ready"},
		"ready without":     {some, nil, "is ready, and runs without ops_listen: address in use"},
		"not ready without": {some, errors.New("not ready"), "is not ready, and runs without ops_listen: address in use"},
		"none":              {nil, errors.New("refused"), "no sidecar that is ready"},
	} {
		e := &examination{Config: Config{Local: func(context.Context) ([]Problem, error) { return c.problems, c.err }}}
		found, err := e.lookAtLocal(t.Context())
		if err != nil || !strings.Contains(found.evidence, c.want) || (found.status == OK) != (c.problems == nil && c.err == nil) {
			t.Errorf("%s: %+v, error %v", name, found, err)
		}
	}
}
