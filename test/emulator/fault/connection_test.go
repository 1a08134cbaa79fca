package fault_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"skr/test/emulator/fault"
	"skr/test/emulator/pki"
)

func TestParseConnectionRules(t *testing.T) {
	for text, want := range map[string]fault.Rule{
		"maa:refuse,count=2":      {Service: "maa", Do: fault.Refuse, Count: 2},
		"vault:tls=expired":       {Service: "vault", Do: fault.TLS, Certificate: pki.Expired},
		"maa:clock=+10m":          {Service: "maa", Do: fault.Clock, Offset: 10 * time.Minute},
		"entra:clock=-1h":         {Service: "entra", Do: fault.Clock, Offset: -time.Hour},
		"maa/certs:redirect=/a:b": {Service: "maa/certs", Do: fault.Redirect, Location: "/a:b"},
		"maa:redirect=https://x.localhost:1/,status=302": {
			Service: "maa", Do: fault.Redirect, Location: "https://x.localhost:1/", Status: 302},
	} {
		if got, err := fault.ParseRule(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"maa/attest:refuse", "vault/release:tls=expired", "maa/attest:clock=+10m", "maa:tls", "maa:tls=old", "maa:refuse=1",
		"maa:clock", "maa:clock=soon", "maa:clock=1m,count=1", "maa:clock=1m,probability=1", "maa:redirect", "maa:redirect=/,status=200",
	} {
		if rule, err := fault.ParseRule(text); err == nil {
			t.Errorf("%q is accepted as %+v", text, rule)
		}
	}
}

func TestRedirect(t *testing.T) {
	for words, status := range map[string]int{"": 307, ",status=302": 302} {
		server := serve(t, planOf(t, "maa:redirect=https://other.localhost/"+words))
		client := server.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if a := ask(t, client, server.URL+"/maa"); a.status != status || a.header.Get("Location") != "https://other.localhost/" {
			t.Errorf("%q: status %d to %q, %v", words, a.status, a.header.Get("Location"), a.err)
		}
	}
}

// planOf returns a plan with one rule.
func planOf(t *testing.T, text string) *fault.Plan {
	t.Helper()
	plan := fault.NewPlan(1, nil)
	rule, err := fault.ParseRule(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Add(rule); err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestOffset(t *testing.T) {
	plan := planOf(t, "maa:clock=+10m")
	if err := plan.Add(fault.Rule{Do: fault.Clock, Offset: -time.Minute}); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]time.Duration{"maa": 9 * time.Minute, "vault": -time.Minute} {
		if got := plan.Offset(service); got != want {
			t.Errorf("the clock of %s is off by %v, want %v", service, got, want)
		}
	}
	if plan.Clear(); plan.Offset("maa") != 0 {
		t.Error("the offset remains after Clear")
	}
}

// TestRefuse checks that refused connections are reset and counted, including
// those that were open when the rule was added, and only as often as the rule
// says.
func TestRefuse(t *testing.T) {
	plan := fault.NewPlan(1, nil)
	server := listening(t, plan)
	if a := ask(t, server.Client(), server.URL+"/maa"); a.err != nil {
		t.Fatal(a.err)
	}
	if err := plan.Add(fault.Rule{Service: "maa", Do: fault.Refuse, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, server.Client(), server.URL+"/maa"); a.err == nil {
		t.Error("an open connection survived the rule")
	}
	plan.ResetCounters()
	if a := ask(t, server.Client(), server.URL+"/maa"); !errors.Is(a.err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", a.err)
	}
	if got := plan.Requests("maa"); got != 1 {
		t.Errorf("%d counted, want 1", got)
	}
	if a := ask(t, server.Client(), server.URL+"/maa"); a.body != truth {
		t.Errorf("after the rule: %v", a.err)
	}
}

// listening is a server whose connections all go through the plan.
func listening(t *testing.T, plan *fault.Plan) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(serve(t, plan).Config.Handler)
	server.Listener = plan.Listener("maa", server.Listener)
	server.Config.ConnContext = fault.ConnContext
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// TestTLSRulesSparePlainConnections checks that TLS rules do not affect plain
// connections.
func TestTLSRulesSparePlainConnections(t *testing.T) {
	plan := planOf(t, ":tls=expired")
	if a := ask(t, listening(t, plan).Client(), listening(t, plan).URL+"/maa"); a.body != truth {
		t.Errorf("got %v", a.err)
	}
	if rule, faulty := plan.Connect("maa", fault.TLS); !faulty || rule.Certificate != pki.Expired {
		t.Errorf("a TLS connection gets %+v, %v", rule, faulty)
	}
	request := httptest.NewRequest(http.MethodGet, "/maa", http.NoBody)
	request.TLS = &tls.ConnectionState{}
	defer func() {
		if reason := recover(); reason != http.ErrAbortHandler { //nolint:errorlint // net/http panics with the value itself
			t.Errorf("a request over TLS ended with %v", reason)
		}
	}()
	serve(t, plan).Config.Handler.ServeHTTP(httptest.NewRecorder(), request)
}
