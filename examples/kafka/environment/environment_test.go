package environment_test

import (
	"errors"
	"strconv"
	"testing"

	"skr/examples/kafka/environment"
)

func reading(set map[string]string) *environment.Variables {
	return environment.New(func(name string) string { return set[name] })
}

func TestEachVariableHasALine(t *testing.T) {
	v := reading(map[string]string{"A": "seven", "B": "7"})
	if got := environment.Required(v, "B", "a number", strconv.Atoi); got != 7 {
		t.Errorf("B is %d", got)
	}
	if got := environment.Optional(v, "D", 4, strconv.Atoi); got != 4 || v.Err() != nil {
		t.Errorf("D is %d, and the error %v", got, v.Err())
	}
	environment.Required(v, "A", "a number", strconv.Atoi)
	environment.Required(v, "C", "a number", strconv.Atoi)
	v.Wrong("E", "is\nover several\r\nlines")
	err, ok := errors.AsType[environment.Error](v.Err())
	if !ok || len(err) != 3 {
		t.Fatalf("got %v", v.Err())
	}
	const want = "A: strconv.Atoi: parsing \"seven\": invalid syntax\nC: is not set; use a number\nE: is over several lines"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
