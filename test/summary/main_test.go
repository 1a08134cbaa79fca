package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSummarise(t *testing.T) {
	const events = `
{"Action":"output","Package":"p","Test":"TestGood","Output":"chatter\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    matrix: 3 cases\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"the word matrix: is not enough\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    x_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestIdle","Output":"=== RUN   TestIdle\n"}
{"Action":"output","Package":"p","Test":"TestIdle","Output":"    x_test.go:2: no ::1 here\n"}
{"Action":"output","Package":"p","Test":"TestIdle","Output":"--- SKIP: TestIdle (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestIdle"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: syntax error\n"}
`
	var out bytes.Buffer
	if err := summarise(strings.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	const want = "matrix: 3 cases\n=== RUN   TestBad\n    x_test.go:1: wrong\nFAIL\tp\t0.1s\nq.go:1: syntax error\n" +
		"1 tests skipped\n  skipped p TestIdle: x_test.go:2: no ::1 here\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestExitCodeIsTheCommands(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0": 0, "exit 3": 3, `echo '{"Action":"fail"}'; exit 1`: 1,
	} {
		var out bytes.Buffer
		if code, err := run([]string{"sh", "-c", script}, &out); code != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", script, code, err, want)
		}
	}
	if _, err := run([]string{"sh", "-c", "echo not JSON"}, new(bytes.Buffer)); err == nil {
		t.Error("output that is not an event was accepted")
	}
	if _, err := run(nil, new(bytes.Buffer)); err == nil {
		t.Error("a missing command was accepted")
	}
}
