package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"skr/internal/check"
)

// FuzzAnswer: no answer makes a rule fail, and no result repeats a secret of it, wherever it stands.
// The seeds are answers that were once repeated, or mistaken for another kind.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []struct {
		status      int
		media, body string
	}{
		{200, "application/json", `{"key":"` + canary + `"}`},
		{200, "application/json", `{"key":"{\"kty\":\"RSA\",\"n\":\"` + canary + `\"}"}`},
		{200, "application/json", `{"key":{"kty":"oct","k":"` + canary + `"}}`},
		{200, "application/json", `{"token":"` + canary + `","\"x":1}`},
		{200, "application/json", `{"` + canary + ` ":1}`},
		{200, "application/json", `"` + canary + `"`},
		{200, "text/plain", canary},
		{200, "application/" + strings.ToLower(canary), "{}"},
		{403, "application/json", `{"error":"` + canary + `"}{"token":""}`},
		{400, "application/json", `{"error":"` + canary + `","code":"` + canary + `","request_id":"` + canary + `"}`},
		{404, "application/json", `{"error":{},"code":"key_not_found","request_id":"r"}`},
		{200, "application/json", `{"report":"","td_quote":"` + canary + `"}`},
		{200, "application/json", ``},
		{302, "", ``},
	} {
		for number, p := range probesFor(full(f)) {
			if slices.Contains([]string{"status", "raw", "combined", "maa", "release", "unknown-key"}, p.name) {
				f.Add(uint8(number), seed.status, seed.media, seed.body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, status int, media, body string) {
		if strings.Contains(body, "Y2FuYXJ5") && !strings.Contains(body, canary) || status < 100 || status > 999 {
			t.Skip("a part of the canary could stand there by chance, or the status is not one of HTTP")
		}
		c := full(t)
		d, err := described()
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Config: c, document: d, report: newReport(c)}
		probes := probesFor(c)
		a := &answer{status: status, header: http.Header{"Content-Type": {media}, headerRequestID: {"r"}}, body: []byte(body), requestID: "r"}
		r.take(probes[int(number)%len(probes)], a, nil)
		if string(a.body) != body {
			t.Fatal("the answer was changed")
		}
		text, err := json.Marshal(r.report)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := r.report.Printed().Write(&out, check.Plain); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(body, canary) && strings.Contains(string(text)+out.String(), canary) {
			t.Error("the output holds a secret of the answer")
		}
	})
}
