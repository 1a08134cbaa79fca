package fault_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/test/emulator/fault"
)

const truth = `{"token":"0123456789abcdef0123456789abcdef"}`

func TestParseRule(t *testing.T) {
	for text, want := range map[string]fault.Rule{
		"maa:status=429,retry-after=2s,count=3": {Service: "maa", Do: fault.Status, Status: 429, RetryAfter: 2 * time.Second, Count: 3},
		":reset,probability=0.1":                {Do: fault.Reset, Probability: 0.1},
		"vault/release:slow-body,delay=10ms":    {Service: "vault/release", Do: fault.SlowBody, Delay: 10 * time.Millisecond},
		"maa/attest:forge=alg-none":             {Service: "maa/attest", Do: fault.Forge, Forgery: "alg-none"},
		"imds:status":                           {Service: "imds", Do: fault.Status},
		"imds/token:answer=imds-multiple":       {Service: "imds/token", Do: fault.Answer, Answer: "imds-multiple"},
	} {
		got, err := fault.ParseRule(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"", "maa", "maa:", "maa:explode", "maa:status=abc", "maa:status=99", "maa:reset=1", "maa:forge", "maa:answer", "maa:answer=none",
		"maa:reset,count=-1", "maa:reset,probability=2", "maa:reset,probability=NaN", "maa:reset,colour=red", "maa:reset,delay=fast",
	} {
		if rule, err := fault.ParseRule(text); err == nil {
			t.Errorf("%q is accepted as %+v", text, rule)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, test := range []struct {
		service, head string
		want          bool
	}{
		{"maa/attest", "maa", true}, {"maa", "maa", true}, {"maa", "", true},
		{"maaa", "maa", false}, {"maa", "maa/attest", false}, {"vault/keys", "vault/release", false},
	} {
		if got := fault.Under(test.service, test.head); got != test.want {
			t.Errorf("%q under %q: %v", test.service, test.head, got)
		}
	}
}

func serve(t *testing.T, plan *fault.Plan) *httptest.Server {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, truth)
	})
	server := httptest.NewServer(plan.Wrap(func(r *http.Request) string { return strings.Trim(r.URL.Path, "/") }, next))
	t.Cleanup(server.Close)
	return server
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func ask(t *testing.T, client *http.Client, url string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body), err}
}

func TestActions(t *testing.T) {
	for _, test := range []struct {
		rule  string
		wrong func(answer) bool // reports whether the answer is wrong
	}{
		{"maa:status=429,retry-after=1500ms", func(a answer) bool { return a.status != 429 || a.header.Get("Retry-After") != "2" }},
		{"maa:status", func(a answer) bool { return a.status != 503 || a.header.Get("Retry-After") != "" }},
		{"maa:reset", func(a answer) bool { return a.err == nil }},
		{"maa:truncate", func(a answer) bool { return !errors.Is(a.err, io.ErrUnexpectedEOF) || a.body != truth[:len(truth)/2] }},
		{"maa:oversize", func(a answer) bool { return a.err != nil || len(a.body) < 16<<20 || strings.TrimSpace(a.body) != truth }},
		{"maa:not-json", func(a answer) bool {
			return a.status != 200 || !strings.HasPrefix(a.body, "<") || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json")
		}},
		{"maa:content-type", func(a answer) bool {
			return a.body != truth || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
		}},
		{"maa:slow-first-byte,delay=1ms", func(a answer) bool { return a.body != truth }},
		{"maa:slow-body,delay=1ms", func(a answer) bool { return a.body != truth }},
		{"maa:forge=alg-none", func(a answer) bool { return a.body != truth }},
		{"vault:reset", func(a answer) bool { return a.body != truth }},
	} {
		t.Run(test.rule, func(t *testing.T) {
			plan := fault.NewPlan(1, map[string][]string{"maa/attest": {"alg-none"}})
			rule, err := fault.ParseRule(test.rule)
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Add(rule); err != nil {
				t.Fatal(err)
			}
			server := serve(t, plan)
			if a := ask(t, server.Client(), server.URL+"/maa/attest"); test.wrong(a) {
				t.Errorf("status %d, %v, %.60q, %v", a.status, a.header, a.body, a.err)
			}
			if got := plan.Requests("maa"); got != 1 {
				t.Errorf("%d requests counted", got)
			}
		})
	}
}

// TestBlackHole checks that no answer comes until the client gives up.
func TestBlackHole(t *testing.T) {
	plan := fault.NewPlan(1, nil)
	if err := plan.Add(fault.Rule{Do: fault.BlackHole}); err != nil {
		t.Fatal(err)
	}
	server := serve(t, plan)
	client := server.Client()
	client.Timeout = 50 * time.Millisecond
	a := ask(t, client, server.URL+"/maa")
	if failure, ok := errors.AsType[net.Error](a.err); !ok || !failure.Timeout() {
		t.Errorf("got %v, want a timeout", a.err)
	}
}

// TestDelays measures with a clock that stands still while every goroutine is
// idle.
func TestDelays(t *testing.T) {
	for _, test := range []struct {
		rule    *fault.Rule
		latency time.Duration
		want    time.Duration
	}{
		{nil, 0, 0},
		{nil, 3 * time.Second, 3 * time.Second},
		{&fault.Rule{Do: fault.SlowFirstByte, Delay: 2 * time.Second}, time.Second, 3 * time.Second},
		{&fault.Rule{Do: fault.SlowFirstByte}, 0, time.Second},
		{&fault.Rule{Do: fault.SlowBody, Delay: time.Minute}, 0, 8 * time.Minute},
	} {
		t.Run(fmt.Sprint(test.rule, test.latency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := fault.NewPlan(1, nil)
				plan.SetLatency("maa", test.latency)
				if test.rule != nil {
					if err := plan.Add(*test.rule); err != nil {
						t.Fatal(err)
					}
				}
				handler := plan.Wrap(func(*http.Request) string { return "maa/attest" }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, truth)
				}))
				begin, got := time.Now(), httptest.NewRecorder()
				handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
				if took := time.Since(begin); took != test.want || got.Body.String() != truth {
					t.Errorf("took %v, want %v: %s", took, test.want, got.Body)
				}
			})
		})
	}
}

func TestCount(t *testing.T) {
	plan := fault.NewPlan(1, nil)
	for _, status := range []int{500, 429} {
		if err := plan.Add(fault.Rule{Service: "maa", Do: fault.Status, Status: status, Count: 2}); err != nil {
			t.Fatal(err)
		}
	}
	server := serve(t, plan)
	var got []int
	for range 5 {
		got = append(got, ask(t, server.Client(), server.URL+"/maa").status)
	}
	if diff := cmp.Diff([]int{500, 500, 429, 429, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// TestSeed checks that one seed always fails the same requests and another seed
// fails others.
func TestSeed(t *testing.T) {
	run := func(seed uint64) (failed string) {
		plan := fault.NewPlan(seed, nil)
		if err := plan.Add(fault.Rule{Do: fault.Status, Probability: 0.5}); err != nil {
			t.Fatal(err)
		}
		server := serve(t, plan)
		for range 40 {
			failed += fmt.Sprint(ask(t, server.Client(), server.URL+"/maa").status, " ")
		}
		return failed
	}
	first, again := run(1), run(1)
	if first != again {
		t.Errorf("the same seed gives other faults:\n%s\n%s", first, again)
	}
	if first == run(2) || !strings.Contains(first, "200") || !strings.Contains(first, "503") {
		t.Errorf("faults of seed 1: %s", first)
	}
}

func TestForgery(t *testing.T) {
	plan := fault.NewPlan(1, map[string][]string{"maa/attest": {"alg-none"}, "vault/release": {"other-kid"}})
	for _, bad := range []fault.Rule{
		{Service: "maa", Do: fault.Forge, Forgery: "other-kid"},
		{Service: "imds", Do: fault.Forge, Forgery: "alg-none"},
		{Do: "explode"},
	} {
		if err := plan.Add(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if err := plan.Add(fault.Rule{Service: "maa", Do: fault.Forge, Forgery: "alg-none", Count: 1}); err != nil {
		t.Fatal(err)
	}
	got := []string{plan.Forgery("vault/release"), plan.Forgery("maa/attest"), plan.Forgery("maa/attest")}
	if diff := cmp.Diff([]string{"", "alg-none", ""}, got); diff != "" {
		t.Errorf("forgeries (-want +got):\n%s", diff)
	}
}
