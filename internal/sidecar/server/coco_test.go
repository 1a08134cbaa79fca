package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/attest"
	"skr/internal/keyuse"
	"skr/internal/sidecar/coco"
	"skr/internal/sidecar/limit"
)

// A caller that may have no key pair attested cannot have the hash of one bound, in either half
// of REPORT_DATA; all others may bind everything.
func TestMayBind(t *testing.T) {
	digest := bytes.Repeat([]byte{1}, 32)
	for name, c := range map[string]struct {
		data            []byte
		direct, virtual bool // whether bound callers may have it bound, by platform
	}{
		"nothing":                  {nil, true, true},
		"16 bytes":                 {digest[:16], true, true},
		"17 bytes":                 {digest[:17], false, false},
		"SHA-256":                  {digest, false, false},
		"SHA-256, padded":          {append(bytes.Clone(digest), make([]byte, 32)...), false, false},
		"SHA-384":                  {bytes.Repeat([]byte{1}, 48), false, true},
		"64 bytes":                 {bytes.Repeat([]byte{1}, 64), false, true},
		"SHA-256 and one more bit": {append(append(bytes.Clone(digest), make([]byte, 31)...), 1), false, true},
		"the second half alone":    {append(make([]byte, 32), digest...), true, true},
		"only the 17th byte":       {append(make([]byte, 16), 1), false, false},
	} {
		for platform, want := range map[attest.Platform]bool{
			attest.Direct: c.direct, attest.DirectTDX: c.direct, attest.ConfidentialVM: c.virtual, attest.ConfidentialTDX: c.virtual,
		} {
			p := newPipeline(t)
			p.platform = platform
			kept := newServer(t, p, func(c *Config) { c.Rights = map[string]keyuse.Rights{"orders": mustRights(t, "decrypt")} })
			if err := kept.mayBind(context.Background(), c.data); (err == nil) != want {
				t.Errorf("%s, %s: %v", name, platform, err)
			}
			free := newServer(t, p, nil)
			if err := free.mayBind(context.Background(), c.data); err != nil {
				t.Errorf("%s, %s, no kept key: %v", name, platform, err)
			}
		}
	}
}

func mustRights(t *testing.T, ops ...string) keyuse.Rights {
	t.Helper()
	rights, err := keyuse.ParseRights(ops, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rights
}

// The routes of the dialect exist for its handler only, and count as any other request.
func TestDialectIsApart(t *testing.T) {
	var called []string
	s := newServer(t, newPipeline(t), func(c *Config) {
		c.CoCo = &CoCo{Version: "1", Resources: map[string]coco.Resource{}}
		c.Gate = limit.New(limit.Config{Rate: 1e6})
		c.Called = func(path string) { called = append(called, path) }
	})
	for _, route := range append(coco.Routes(), coco.RouteInfo) {
		body := `{"runtime_data":"` + base64.StdEncoding.EncodeToString([]byte("x")) + `"}`
		if got := answerTo(s, http.MethodPost, route, body); got.Code != http.StatusNotFound {
			t.Errorf("%s of the other listener: %d", route, got.Code)
		}
	}
	called = nil
	request := newRequest(http.MethodGet, "/aa/evidence?runtime_data=x", "")
	recorder := httptest.NewRecorder()
	s.CoCo().ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK || !strings.HasPrefix(recorder.Body.String(), `{"attestation_report":{"version":`) ||
		len(called) != 1 || called[0] != coco.RouteEvidence {
		t.Errorf("%d %.80s, called %q", recorder.Code, recorder.Body, called)
	}
	if newServer(t, newPipeline(t), nil).CoCo() != nil {
		t.Error("there is a handler without a section")
	}
}

// A resource that the access policy refuses is recorded, as a release is, with the alias's key.
func TestRefusedResourceIsRecorded(t *testing.T) {
	w := &auditor{}
	bound := withAccess(t)
	resources, err := coco.ParseResources(map[string]coco.ResourceConfig{
		"default/key/orders":  {Alias: "orders", As: "raw"},
		"default/file/orders": {Alias: "orders", Envelope: "/nonexistent"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, newPipeline(t), func(c *Config) {
		bound(c)
		c.Auditor, c.CoCo = w, &CoCo{Resources: resources}
	})
	for path := range resources {
		w.told, w.keys = nil, nil
		request := newRequest(http.MethodGet, "/cdh/resource/"+path, "")
		request.Header.Set("Authorization", "Bearer "+otherToken)
		recorder := httptest.NewRecorder()
		s.CoCo().ServeHTTP(recorder, request)
		if recorder.Code != http.StatusForbidden || len(w.told) != 1 || w.told[0] == nil || !strings.HasSuffix(w.keys[0], "/keys/orders") {
			t.Errorf("%s: %d %s, recorded %q, %v", path, recorder.Code, recorder.Body, w.keys, w.told)
		}
	}
}
