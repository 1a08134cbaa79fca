package provision_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/hsm"
	"skr/internal/operator/provision"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

func open(t testing.TB, reads, writes policy.Transporter) (*provision.Vault, hsm.KeyID) {
	t.Helper()
	rules, err := hsm.ParseVaults([]string{"*.vault.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := rules.Parse("one.vault.azure.net", "k")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := provision.Open(provision.Config{Vault: id.Vault(), Access: secmem.NewText("token"), Reads: reads, Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	return opened, id
}

// Requests that must not be repeated use the transport that sends once.
func TestWritesAreNotRepeated(t *testing.T) {
	answer := func(method string) handler {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				t.Errorf("%s used the transport for %s", r.Method, method)
			}
			w.WriteHeader(http.StatusForbidden)
		}
	}
	opened, id := open(t, answer(http.MethodGet), answer(http.MethodPost))
	rules, err := releasepolicy.Parse([]byte(`{"version":"1.0.0","anyOf":[{"authority":"https://a","allOf":[{"claim":"a","equals":"b"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Make(t.Context(), request(t, provision.Spec{ID: id, Policy: rules})); !errors.Is(err, refusal.ManagementRejected) {
		t.Error(err)
	}
	if _, err := opened.Read(t.Context(), id); !errors.Is(err, refusal.ManagementRejected) {
		t.Error(err)
	}
}

// FuzzAnswers checks that any answer of a vault gives a key of that vault or a refusal.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(`{"key":{"kid":"https://one.vault.azure.net/keys/k/1","kty":"RSA-HSM","key_ops":["sign"],"n":"AQAB","e":"AQAB"},`+
		`"attributes":{"enabled":true,"exp":1}}`))
	f.Add(200, []byte(`{"key":{"kid":"https://one.vault.azure.net/keys/k/1","kty":"oct-HSM"},"attributes":{},`+
		`"release_policy":{"data":"e30","immutable":true},"tags":{"a":null}}`))
	f.Add(200, []byte(`{"value":[{"kid":"https://one.vault.azure.net/keys/k","attributes":{"created":1}}],"nextLink":null}`))
	f.Add(200, []byte(`{"value":[{"kid":null}],"nextLink":"::"}`))
	f.Add(403, []byte(`{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByRbac"}}}`))
	f.Add(404, []byte(`[]`))
	f.Add(200, []byte(`{"recoveryId":"x","deletedDate":1,"scheduledPurgeDate":2,"key":{"kid":"https://one.vault.azure.net/keys/k/1","kty":"EC"},"attributes":{}}`))
	f.Add(200, []byte(`{"value":[{"kid":"https://one.vault.azure.net/keys/k/1","attributes":{},"deletedDate":1}]}`))
	f.Add(200, []byte(`{"value":"AAAA"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		answer := handler(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200 + max(status, -status)%400)
			_, _ = w.Write(body)
		})
		opened, id := open(t, answer, answer)
		if key, err := opened.Read(t.Context(), id); err == nil {
			if key.ID.Vault() != id.Vault() || key.ID.Name() != "k" {
				t.Errorf("a key of another vault: %q", key.ID)
			}
			_, _ = key.PEM() // an error is acceptable
		} else if _, ok := errors.AsType[*refusal.Error](err); !ok {
			t.Errorf("%v is not a refusal", err)
		}
		items, err := opened.List(t.Context())
		for _, item := range items {
			if item.ID.Vault() != id.Vault() || err != nil {
				t.Errorf("a key of another vault: %q, %v", item.ID, err)
			}
		}
		checkLife(t, opened, id)
	})
}

// checkLife checks that any answer gives a version or a deleted key of that vault, or a refusal.
func checkLife(t *testing.T, opened *provision.Vault, id hsm.KeyID) {
	versions, err := opened.Versions(t.Context(), id.Name())
	for _, item := range versions {
		if !id.Covers(item.ID) || item.ID.Version() == "" || err != nil {
			t.Errorf("no version of the key: %q, %v", item.ID, err)
		}
	}
	deleted, err := opened.Deleted(t.Context())
	for _, item := range deleted {
		if item.ID.Vault() != id.Vault() || err != nil {
			t.Errorf("a key of another vault: %q, %v", item.ID, err)
		}
	}
	if found, err := opened.FindDeleted(t.Context(), id.Name()); err == nil && !id.Covers(found.ID) {
		t.Errorf("another key: %q", found.ID)
	} else if _, ok := errors.AsType[*refusal.Error](err); err != nil && !ok {
		t.Errorf("%v is not a refusal", err)
	}
	if backup, err := opened.Backup(t.Context(), id.Name()); err == nil && len(backup) == 0 {
		t.Error("an empty backup")
	}
}
