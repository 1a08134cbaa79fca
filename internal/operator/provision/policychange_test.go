//go:build linux

package provision_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/operator/provision"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// subject is a key with a changeable policy.
type subject struct {
	*cloud
	service string
	key     *provision.Key
}

func newSubject(t *testing.T, c *cloud, service, name string, immutable bool) *subject {
	t.Helper()
	spec := provision.Spec{ID: c.id(service, name), Policy: c.policy(), Type: "EC-HSM", Tags: map[string]string{"team": "blue"}, Immutable: immutable}
	key, err := c.open(service, c.transport()).Make(t.Context(), request(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	return &subject{c, service, key}
}

// wider returns the present policy with another value of its claim.
func (s *subject) wider(value string) *releasepolicy.Policy {
	s.t.Helper()
	next, err := s.policy().Allow("x-ms-attestation-type", value)
	if err != nil {
		s.t.Fatal(err)
	}
	return next
}

func (s *subject) change(over policy.Transporter, value string) (*provision.Key, error) {
	s.t.Helper()
	change, err := provision.NewPolicyChange(s.key, s.wider(value))
	if err != nil {
		return nil, err
	}
	return s.openWith(s.service, over, atOnce).Change(s.t.Context(), change)
}

// atOnce does not pause.
var atOnce = provision.Patience{Pause: func(context.Context, time.Duration) error { return nil }}

// A program that read the same policy and writes after this one replaces its change, which this
// one reports. A wait that is interrupted is no error: the policy was read back before.
func TestChangeThatIsReplaced(t *testing.T) {
	c := newCloud(t, nil)
	s := newSubject(t, c, "vault", "replaced", false)
	change, err := provision.NewPolicyChange(s.key, s.wider("azurevm"))
	if err != nil {
		t.Fatal(err)
	}
	later := provision.Patience{Pause: func(context.Context, time.Duration) error {
		s.overwrite(s.wider("sgx"), false)
		return nil
	}}
	_, err = s.openWith("vault", s.transport(), later).Change(t.Context(), change)
	if !errors.Is(err, refusal.ManagementRejected) || !strings.Contains(err.Error(), "this change may be lost") {
		t.Errorf("error %v", err)
	}
	s = newSubject(t, c, "vault", "interrupted", false)
	ended := provision.Patience{Pause: func(context.Context, time.Duration) error { return context.Canceled }}
	if change, err = provision.NewPolicyChange(s.key, s.wider("azurevm")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.openWith("vault", s.transport(), ended).Change(t.Context(), change); err != nil {
		t.Errorf("an ended wait: %v", err)
	}
}

func TestChange(t *testing.T) {
	for _, service := range []string{"vault", "managedhsm"} {
		s := newSubject(t, newCloud(t, nil), service, "k", false)
		changed, err := s.change(s.transport(), "azurevm")
		if err != nil {
			t.Fatal(err)
		}
		if err := provision.SamePolicy(changed, s.wider("azurevm")); err != nil {
			t.Error(err)
		}
		if changed.ID != s.key.ID || changed.Tags["team"] != "blue" || !changed.Exportable || !changed.Enabled {
			t.Errorf("more than the policy changed: %+v", changed)
		}
	}
}

// meanwhile makes another change before the n-th request of a method is sent.
type meanwhile struct {
	next   policy.Transporter
	method string
	before func()
}

func (m *meanwhile) Do(r *http.Request) (*http.Response, error) {
	if r.Method == m.method && m.before != nil {
		before := m.before
		m.before = nil
		before()
	}
	return m.next.Do(r)
}

// What another operator changed since the key was read is not overwritten.
func TestChangeOfTwoOperators(t *testing.T) {
	c := newCloud(t, nil)
	for says, other := range map[string]func(s *subject){
		"its release policy is another one": func(s *subject) {
			if _, err := s.change(s.transport(), "sgx"); err != nil {
				t.Error(err)
			}
		},
		"it has a new version": func(s *subject) {
			spec := provision.Spec{ID: c.id("vault", s.key.ID.Name()), Policy: s.policy(), Type: "EC-HSM"}
			if _, err := s.open(s.service, s.transport()).Make(t.Context(), request(t, spec)); err != nil {
				t.Error(err)
			}
		},
		"its release policy is immutable now": func(s *subject) { s.freeze() },
	} {
		s := newSubject(t, c, "vault", strings.ReplaceAll(says, " ", "-"), false)
		over := &meanwhile{s.transport(), http.MethodGet, func() { other(s) }}
		_, err := s.change(over, "azurevm")
		if !errors.Is(err, refusal.ManagementRejected) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "nothing was written") {
			t.Errorf("error %v, want %q", err, says)
		}
		now, err := s.open(s.service, s.transport()).Read(t.Context(), c.id("vault", s.key.ID.Name()))
		if err != nil || bytes.Contains(now.Policy, []byte("azurevm")) {
			t.Errorf("%s: the vault has %s, %v", says, now.Policy, err)
		}
	}
	// The vaults have no conditional write, so a change after the second read is not seen. What the
	// vault has afterwards is reported.
	s := newSubject(t, c, "vault", "late", false)
	reads := 0
	over := tampering{s.transport(), func(o map[string]any) {
		if reads++; reads == 2 {
			o["release_policy"].(map[string]any)["data"] = "eyJ2ZXJzaW9uIjoiMS4wLjAiLCJhbnlPZiI6W3siYXV0aG9yaXR5IjoiaHR0cHM6Ly9hIiwi" +
				"YWxsT2YiOlt7ImNsYWltIjoiYSIsImVxdWFscyI6ImIifV19XX0"
		}
	}}
	if _, err := s.change(over, "azurevm"); !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), "has another one now") {
		t.Errorf("error %v", err)
	}
}

// freeze makes the policy immutable, as another program would.
func (s *subject) freeze() { s.overwrite(s.policy(), true) }

// overwrite writes a policy without looking, as another program would.
func (s *subject) overwrite(p *releasepolicy.Policy, immutable bool) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"release_policy": map[string]any{
		"data": base64.RawURLEncoding.EncodeToString(p.Raw()), "immutable": immutable,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := s.AccessToken(s.Host("demo", s.service))
	if err != nil {
		s.t.Fatal(err)
	}
	at := s.id(s.service, s.key.ID.Name()).String() + "?api-version=7.4"
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPatch, at, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := s.HTTPClient().Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("freezing: %v %v", answer, err)
	}
	_ = answer.Body.Close()
}

func TestChangeRefused(t *testing.T) {
	c := newCloud(t, nil)
	frozen := newSubject(t, c, "vault", "frozen", true)
	if _, err := frozen.change(frozen.transport(), "azurevm"); !errors.Is(err, refusal.ManagementRejected) || !strings.Contains(err.Error(), "signed fragments") {
		t.Errorf("error %v, want the way out", err)
	}
	// The vault refuses what became immutable after the second read.
	s := newSubject(t, c, "vault", "late", false)
	over := &meanwhile{s.transport(), http.MethodPatch, s.freeze}
	if _, err := s.change(over, "azurevm"); !errors.Is(err, refusal.ManagementRejected) || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("error %v", err)
	}
	none := *s.key
	none.Policy = nil
	if _, err := provision.NewPolicyChange(&none, c.policy()); !errors.Is(err, refusal.ManagementRejected) ||
		!strings.Contains(err.Error(), "cannot be added later") {
		t.Errorf("error %v", err)
	}
}

// lost is a network that loses the answer to a PATCH, or the request.
type lost struct {
	next     policy.Transporter
	delivers bool
}

func (l lost) Do(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPatch {
		return l.next.Do(r)
	}
	if l.delivers {
		answer, err := l.next.Do(r)
		if err != nil {
			return nil, err
		}
		_ = answer.Body.Close()
	}
	return nil, refusal.Newf(refusal.Unavailable, "the connection was lost")
}

// A change whose answer was lost is found by reading the key.
func TestChangeWithoutAnswer(t *testing.T) {
	c := newCloud(t, nil)
	s := newSubject(t, c, "vault", "delivered", false)
	if _, err := s.change(lost{s.transport(), true}, "azurevm"); err != nil {
		t.Error(err)
	}
	s = newSubject(t, c, "vault", "dropped", false)
	if _, err := s.change(lost{s.transport(), false}, "azurevm"); !errors.Is(err, refusal.Unavailable) {
		t.Errorf("error %v", err)
	}
}

// A preview equals the request byte for byte, and the request has no version and nothing but a policy.
func TestChangePreview(t *testing.T) {
	s := newSubject(t, newCloud(t, nil), "vault", "k", false)
	change, err := provision.NewPolicyChange(s.key, s.wider("azurevm"))
	if err != nil {
		t.Fatal(err)
	}
	preview, err := change.Preview("")
	if err != nil || preview.Method != http.MethodPatch || !strings.HasSuffix(preview.URL, "/keys/k/?api-version=7.4") {
		t.Fatalf("%+v, %v", preview, err)
	}
	var sent []byte
	seen := inspecting{s.transport(), func(r *http.Request, body []byte) {
		if r.Method == http.MethodPatch {
			sent = body
			if r.URL.String() != preview.URL {
				t.Errorf("sent to %s, previewed %s", r.URL, preview.URL)
			}
		}
	}}
	if _, err := s.open("vault", seen).Change(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent, preview.Body) {
		t.Errorf("sent %s\npreviewed %s", sent, preview.Body)
	}
	var members map[string]any
	if err := json.Unmarshal(sent, &members); err != nil || len(members) != 1 || members["release_policy"] == nil {
		t.Errorf("sent %s, %v", sent, err)
	}
}

type inspecting struct {
	next policy.Transporter
	see  func(*http.Request, []byte)
}

func (i inspecting) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("reading a request: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		i.see(r, body)
	}
	return i.next.Do(r)
}
