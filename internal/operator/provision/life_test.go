//go:build linux

package provision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/operator/provision"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/test/emulator/vault"
)

// vaultClock is a vault's clock that moves when a test waits.
type vaultClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	paused []time.Duration // what Progress was told
}

func (c *vaultClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *vaultClock) pause(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	return nil
}

func (c *vaultClock) patience() provision.Patience {
	return provision.Patience{
		Every: time.Second, Limit: 30 * time.Second, Pause: c.pause,
		Progress: func(waited time.Duration) { c.paused = append(c.paused, waited) },
	}
}

// openWith opens the vault "demo" with a way to wait.
func (c *cloud) openWith(service string, over policy.Transporter, p provision.Patience) *provision.Vault {
	c.t.Helper()
	token, err := c.AccessToken(c.Host("demo", service))
	if err != nil {
		c.t.Fatal(err)
	}
	opened, err := provision.Open(provision.Config{
		Vault: c.id(service, "any").Vault(), Access: secmem.NewText(token), Reads: over, Writes: over, Patience: p,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return opened
}

// made makes an EC key in a vault.
func (c *cloud) made(service, name string) *provision.Key {
	c.t.Helper()
	spec := provision.Spec{ID: c.id(service, name), Policy: c.policy(), Type: "EC-HSM", Tags: map[string]string{"a": "1"}}
	key, err := c.open(service, c.transport()).Make(c.t.Context(), request(c.t, spec))
	if err != nil {
		c.t.Fatal(err)
	}
	return key
}

// TestRotate: both services rotate every kind of key, and list its versions, the newest first.
func TestRotate(t *testing.T) {
	c := newCloud(t, nil)
	for _, service := range []string{"vault", "managedhsm"} {
		kinds := map[string]provision.Spec{"ec": {Type: "EC-HSM", Curve: "P-384", Immutable: true}, "rsa": {Size: 2048}}
		if service == "managedhsm" {
			kinds["oct"] = provision.Spec{Type: "oct-HSM"}
		}
		for name, spec := range kinds {
			spec.ID, spec.Policy = c.id(service, name), c.policy()
			opened := c.open(service, c.transport())
			before, err := opened.Make(t.Context(), request(t, spec))
			if err != nil {
				t.Fatal(err)
			}
			after, err := opened.Rotate(t.Context(), before)
			if err != nil {
				t.Fatalf("%s %s: %v", service, name, err)
			}
			versions, err := opened.Versions(t.Context(), name)
			if err != nil || len(versions) != 2 || !slices.ContainsFunc(versions, func(i provision.Item) bool { return i.ID == after.ID }) ||
				versions[0].Created.Before(versions[1].Created) {
				t.Errorf("%s %s: versions %v, %v", service, name, versions, err)
			}
		}
	}
}

// altering changes the JSON of answers to one method.
type altering struct {
	next   policy.Transporter
	method string
	change func(body map[string]any)
}

func (a altering) Do(r *http.Request) (*http.Response, error) {
	answer, err := a.next.Do(r)
	if err != nil || r.Method != a.method || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	var body map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return nil, err
	}
	a.change(body)
	text, err := json.Marshal(body)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, err
}

// The new version must be like the one before, with other material.
func TestRotateReadsBack(t *testing.T) {
	c := newCloud(t, nil)
	before := c.made("vault", "k")
	at := func(o map[string]any, name string) map[string]any { inner, _ := o[name].(map[string]any); return inner }
	for says, change := range map[string]func(o map[string]any){
		"its type or size differs":    func(o map[string]any) { at(o, "key")["kty"] = "EC" },
		`its operations are ["sign"]`: func(o map[string]any) { at(o, "key")["key_ops"] = []string{"sign"} },
		"it is disabled":              func(o map[string]any) { at(o, "attributes")["enabled"] = false },
		"exportable is false":         func(o map[string]any) { at(o, "attributes")["exportable"] = false },
		"immutable is true":           func(o map[string]any) { at(o, "release_policy")["immutable"] = true },
		"release policy cannot be":    func(o map[string]any) { delete(o, "release_policy") },
		"its release policy differs": func(o map[string]any) {
			at(o, "release_policy")["data"] = "eyJ2ZXJzaW9uIjoiMS4wLjAiLCJhbnlPZiI6W3siYXV0aG9yaXR5IjoiaHR0cHM6Ly9hIiwi" +
				"YWxsT2YiOlt7ImNsYWltIjoiYSIsImVxdWFscyI6ImIifV19XX0"
		},
		"it has the same public key": func(o map[string]any) { at(o, "key")["x"], at(o, "key")["y"] = before.Public.X, before.Public.Y },
		"it is of":                   func(o map[string]any) { at(o, "key")["kid"] = c.id("vault", "foreign").String() + "/1" },
	} {
		_, err := c.open("vault", tampering{c.transport(), change}).Rotate(t.Context(), before)
		if !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

// TestUpdate changes nothing but what it is asked to, and reads it back.
func TestUpdate(t *testing.T) {
	c := newCloud(t, nil)
	key := c.made("managedhsm", "k")
	opened := c.open("managedhsm", c.transport())
	until := time.Date(2024, 1, 31, 0, 0, 0, 0, time.UTC)
	for _, a := range []provision.Attributes{
		{Enabled: new(false)}, {Enabled: new(true)}, {Expires: &until}, {Tags: map[string]string{"b": "2"}}, {Tags: map[string]string{}},
	} {
		before := key
		var err error
		if key, err = opened.Update(t.Context(), key, a); err != nil {
			t.Fatal(err)
		}
		if a.Enabled == nil && key.Enabled != before.Enabled || a.Expires == nil && !key.Expires.Equal(before.Expires) ||
			a.Tags == nil && len(key.Tags) != len(before.Tags) || !bytes.Equal(key.Policy, before.Policy) {
			t.Errorf("%+v changed %+v to %+v", a, before, key)
		}
	}
	unheard := tampering{c.transport(), func(o map[string]any) { o["attributes"].(map[string]any)["enabled"] = true }}
	if _, err := c.open("managedhsm", unheard).Update(t.Context(), key, provision.Attributes{Enabled: new(false)}); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("error %v", err)
	}
}

// TestStatesAreAwaited: a vault that takes its time is waited for, with progress.
func TestStatesAreAwaited(t *testing.T) {
	clock := new(vaultClock)
	c := newCloud(t, func(_ string, config *vault.Config) { config.Now, config.DeletionDelay = clock.now, 4*time.Second })
	made := c.made("vault", "k")
	opened := c.openWith("vault", c.transport(), clock.patience())
	backup, err := opened.Backup(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := opened.Delete(t.Context(), "k")
	if err != nil || deleted.ID.Name() != "k" || deleted.PurgeAt.Sub(deleted.DeletedAt) != 7*24*time.Hour {
		t.Fatalf("deleted %+v, %v", deleted, err)
	}
	if len(clock.paused) != 4 || clock.paused[0] != 0 || clock.paused[3] != 3*time.Second {
		t.Errorf("progress %v", clock.paused)
	}
	if _, err := opened.Read(t.Context(), made.ID); !errors.Is(err, refusal.KeyNotFound) {
		t.Errorf("a deleted key is read: %v", err)
	}
	if all, err := opened.Deleted(t.Context()); err != nil || len(all) != 1 || all[0].ID.Name() != "k" || all[0].PurgeAt != deleted.PurgeAt {
		t.Errorf("deleted keys %v, %v", all, err)
	}
	clock.paused = nil
	if key, err := opened.Recover(t.Context(), "k"); err != nil || key.ID != made.ID || len(clock.paused) == 0 {
		t.Errorf("recovered %v, %v, after %v", key, err, clock.paused)
	}
	if _, err := opened.Read(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	if _, err := opened.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := opened.Purge(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Restore(t.Context(), backup); !errors.Is(err, refusal.ManagementRejected) ||
		!strings.Contains(err.Error(), "was purged a few seconds ago") {
		t.Errorf("restored while it is purged: %v", err)
	}
	_ = clock.pause(t.Context(), 4*time.Second) // never fails
	if key, err := opened.Restore(t.Context(), backup); err != nil || key.ID != made.ID || !bytes.Equal(key.Policy, made.Policy) {
		t.Errorf("restored %v, %v", key, err)
	}
}

// A wait ends when the vault does not get ready, when the caller gives up, and when the vault does
// not let the identity look.
func TestWaitEnds(t *testing.T) {
	var blind bool
	c := newCloud(t, func(_ string, config *vault.Config) {
		config.DeletionDelay = time.Hour
		config.Permissions = func(_ vault.Caller, action, _ string) error {
			if blind && strings.HasSuffix(action, "/deletedkeys/read") {
				return errors.New("no such role")
			}
			return nil
		}
	})
	clock := new(vaultClock) // not the vault's, which stands
	for _, name := range []string{"never", "cancelled", "blind"} {
		c.made("vault", name)
	}
	opened := c.openWith("vault", c.transport(), clock.patience())
	if _, err := opened.Delete(t.Context(), "never"); !errors.Is(err, refusal.Timeout) || !strings.Contains(err.Error(), "has not completed it after 30s") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	patience := provision.Patience{Progress: func(time.Duration) { cancel() }} // the real pause ends with the context
	if _, err := c.openWith("vault", c.transport(), patience).Delete(ctx, "cancelled"); !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), `the deletion of "cancelled" was accepted`) {
		t.Errorf("error %v", err)
	}
	c.made("vault", "unawaited")
	patience = provision.Patience{Limit: -1, Progress: func(time.Duration) { t.Error("a vault is waited for") }}
	if deleted, err := c.openWith("vault", c.transport(), patience).Delete(t.Context(), "unawaited"); err != nil || deleted.ID.Name() != "unawaited" {
		t.Errorf("deleted %v, error %v", deleted, err)
	}
	blind = true
	if deleted, err := opened.Delete(t.Context(), "blind"); !errors.Is(err, provision.ErrUnwatched) || deleted.ID.Name() != "blind" {
		t.Errorf("deleted %v, error %v", deleted, err)
	}
}

// Answers about another key are refused.
func TestLifeRefusesOtherKeys(t *testing.T) {
	c := newCloud(t, nil)
	c.made("vault", "k")
	other := func(method string) policy.Transporter {
		return altering{c.transport(), method, func(o map[string]any) {
			key, _ := o["key"].(map[string]any)
			key["kid"] = c.id("vault", "other").String() + "/0123456789abcdef0123456789abcdef"
		}}
	}
	if _, err := c.open("vault", other(http.MethodDelete)).Delete(t.Context(), "k"); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.open("vault", other(http.MethodPost)).Recover(t.Context(), "k"); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("recover: %v", err)
	}
	versions := altering{c.transport(), http.MethodGet, func(o map[string]any) {
		for _, item := range o["value"].([]any) {
			item.(map[string]any)["kid"] = c.id("vault", "other").String() + "/1"
		}
	}}
	if _, err := c.open("vault", versions).Versions(t.Context(), "k"); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("versions: %v", err)
	}
	empty := altering{c.transport(), http.MethodPost, func(o map[string]any) { o["value"] = "" }}
	if _, err := c.open("vault", empty).Backup(t.Context(), "k"); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("backup: %v", err)
	}
}

// A vault with purge protection keeps a deleted key, and its refusal says how to go on.
func TestPurgeProtection(t *testing.T) {
	c := newCloud(t, func(_ string, config *vault.Config) { config.PurgeProtection = true })
	c.made("vault", "k")
	opened := c.open("vault", c.transport())
	if _, err := opened.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	err := opened.Purge(t.Context(), "k")
	if refused, ok := errors.AsType[*refusal.Error](err); !ok || !strings.Contains(refused.Public(), "skrctl key recover brings it back") {
		t.Errorf("error %v", err)
	}
	if err := opened.Purge(t.Context(), "absent"); !errors.Is(err, refusal.KeyNotFound) || !strings.Contains(err.Error(), "has no deleted key") {
		t.Errorf("error %v", err)
	}
}
