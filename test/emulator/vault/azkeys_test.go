package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/jose/jwk"
)

// credential returns testToken and records the requests for it.
type credential struct{ scopes, tenants []string }

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.scopes, c.tenants = append(c.scopes, o.Scopes...), append(c.tenants, o.TenantID)
	return azcore.AccessToken{Token: testToken, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// serve runs a vault behind TLS with its own chain and returns the official
// client for it. The client's challenge verification stays on.
func serve(t *testing.T, flavour Flavour) (*session, *azkeys.Client, *credential) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, flavour, func(c *Config) {
		c.Host += ":" + port
		c.Resource += ":" + port
	})
	server.Config.Handler = s.vault
	chain := s.vault.config.Chain
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{
		Certificate: [][]byte{chain[0].Raw, chain[1].Raw}, PrivateKey: signingKey(),
	}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	c := new(credential)
	client, err := azkeys.NewClient("https://"+s.vault.config.Host, c, &azkeys.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: transport(t, server.Listener.Addr().String(), chain[2])},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, client, c
}

func transport(t *testing.T, address string, root *x509.Certificate) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(root)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestOfficialClient uses both flavours with the Azure SDK for Go.
func TestOfficialClient(t *testing.T) {
	for _, flavour := range []Flavour{KeyVault, ManagedHSM} {
		t.Run(flavour.String(), func(t *testing.T) {
			s, client, credential := serve(t, flavour)
			create(t, client)
			importAndUpdate(t, client)
			list(t, client)
			rotateWith(t, client)
			releaseWith(t, s, client)
			restoreWith(t, client)
			deleteAndPurge(t, client)
			if want := s.vault.config.Resource + "/.default"; len(credential.scopes) == 0 || credential.scopes[0] != want || credential.tenants[0] != "tenant" {
				t.Errorf("scope %v of tenant %v, want %s", credential.scopes, credential.tenants, want)
			}
		})
	}
}

func create(t *testing.T, client *azkeys.Client) {
	t.Helper()
	created, err := client.CreateKey(t.Context(), "exportable", azkeys.CreateKeyParameters{
		Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: to.Ptr(azkeys.CurveNameP256),
		KeyAttributes: &azkeys.KeyAttributes{Exportable: to.Ptr(true)},
		ReleasePolicy: &azkeys.KeyReleasePolicy{EncodedPolicy: []byte(goodPolicy), Immutable: to.Ptr(true)},
		Tags:          map[string]*string{"purpose": to.Ptr("test")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetKey(t.Context(), "exportable", "", nil)
	if err != nil || *got.Key.KID != *created.Key.KID || !*got.Attributes.Exportable || *got.Tags["purpose"] != "test" ||
		!*got.ReleasePolicy.Immutable || !strings.HasPrefix(string(got.ReleasePolicy.EncodedPolicy), "{") || !got.Attributes.Created.Equal(epoch) {
		t.Fatalf("got %+v, %v", got.KeyBundle, err)
	}
	versioned, err := client.GetKey(t.Context(), "exportable", created.Key.KID.Version(), nil)
	if err != nil || *versioned.Key.KID != *created.Key.KID {
		t.Errorf("version: %v", err)
	}
	_, err = client.GetKey(t.Context(), "none", "", nil)
	if refused, ok := errors.AsType[*azcore.ResponseError](err); !ok || refused.StatusCode != http.StatusNotFound || refused.ErrorCode != "KeyNotFound" {
		t.Errorf("missing key: %v", err)
	}
}

func importAndUpdate(t *testing.T, client *azkeys.Client) {
	t.Helper()
	k, err := jwk.FromPrivate(guestKey())
	if err != nil {
		t.Fatal(err)
	}
	field := func(text string) []byte { data, _ := decode64(text); return data }
	_, err = client.ImportKey(t.Context(), "imported", azkeys.ImportKeyParameters{Key: &azkeys.JSONWebKey{
		Kty: to.Ptr(azkeys.KeyTypeRSA), N: field(k.N), E: field(k.E), D: field(k.D), P: field(k.P), Q: field(k.Q),
		DP: field(k.DP), DQ: field(k.DQ), QI: field(k.QI),
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	updated, err := client.UpdateKey(t.Context(), "imported", "", azkeys.UpdateKeyParameters{
		KeyAttributes: &azkeys.KeyAttributes{Expires: to.Ptr(epoch.Add(time.Hour))},
	}, nil)
	if err != nil || !updated.Attributes.Expires.Equal(epoch.Add(time.Hour)) {
		t.Errorf("updated %v, %v", updated.Attributes, err)
	}
	parameters := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("secret")}
	sealed, err := client.WrapKey(t.Context(), "imported", "", parameters, nil)
	if err != nil {
		t.Fatal(err)
	}
	parameters.Value = sealed.Result
	opened, err := client.UnwrapKey(t.Context(), "imported", "", parameters, nil)
	if err != nil || string(opened.Result) != "secret" {
		t.Errorf("unwrapped %q, %v", opened.Result, err)
	}
}

func list(t *testing.T, client *azkeys.Client) {
	t.Helper()
	for i := range maxPage {
		name := "many-" + string(rune('a'+i))
		if _, err := client.CreateKey(t.Context(), name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	pages, keys := 0, 0
	for pager := client.NewListKeyPropertiesPager(nil); pager.More(); pages++ {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		keys += len(page.Value)
	}
	if pages != 2 || keys != maxPage+2 {
		t.Errorf("%d keys on %d pages", keys, pages)
	}
	versions, err := client.NewListKeyPropertiesVersionsPager("imported", nil).NextPage(t.Context())
	if err != nil || len(versions.Value) != 1 {
		t.Errorf("versions: %v", err)
	}
}

// rotateWith sets a rotation policy and rotates.
func rotateWith(t *testing.T, client *azkeys.Client) {
	t.Helper()
	_, err := client.UpdateKeyRotationPolicy(t.Context(), "exportable", azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P90D")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
			Trigger: &azkeys.LifetimeActionTrigger{TimeAfterCreate: to.Ptr("P30D")},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetKeyRotationPolicy(t.Context(), "exportable", nil)
	if err != nil || *got.Attributes.ExpiryTime != "P90D" || *got.LifetimeActions[0].Trigger.TimeAfterCreate != "P30D" {
		t.Errorf("rotation policy: %v", err)
	}
	before, err := client.GetKey(t.Context(), "exportable", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := client.RotateKey(t.Context(), "exportable", nil)
	if err != nil || *rotated.Key.KID == *before.Key.KID || string(rotated.ReleasePolicy.EncodedPolicy) != string(before.ReleasePolicy.EncodedPolicy) ||
		!rotated.Attributes.Expires.Equal(epoch.AddDate(0, 0, 90)) {
		t.Errorf("rotated: %v", err)
	}
}

// restoreWith backs a key up, purges it and restores it.
func restoreWith(t *testing.T, client *azkeys.Client) {
	t.Helper()
	saved, err := client.BackupKey(t.Context(), "exportable", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.RestoreKey(t.Context(), azkeys.RestoreKeyParameters{KeyBackup: saved.Value}, nil); err == nil {
		t.Error("a key is restored over a present one")
	}
	if _, err := client.DeleteKey(t.Context(), "exportable", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PurgeDeletedKey(t.Context(), "exportable", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RestoreKey(t.Context(), azkeys.RestoreKeyParameters{KeyBackup: saved.Value}, nil); err != nil {
		t.Error(err)
	}
}

func releaseWith(t *testing.T, s *session, client *azkeys.Client) {
	t.Helper()
	answer, err := client.Release(t.Context(), "exportable", "", azkeys.ReleaseParameters{
		TargetAttestationToken: to.Ptr(attestationToken(t, goodClaims(t))),
		Algorithm:              to.Ptr(azkeys.KeyEncryptionAlgorithmRSAAESKEYWRAP256),
		Nonce:                  to.Ptr("once"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.open(*answer.Value)
	if err != nil || r.request["nonce"] != "once" {
		t.Errorf("statement: %v, %v", r.request, err)
	}
	checkReleased(t, s.vault.config.Flavour, r)
	_, err = client.Release(t.Context(), "exportable", "", azkeys.ReleaseParameters{TargetAttestationToken: to.Ptr("x.y.z")}, nil)
	if refused, ok := errors.AsType[*azcore.ResponseError](err); !ok || refused.StatusCode != http.StatusForbidden {
		t.Errorf("bad token: %v", err)
	}
}

func deleteAndPurge(t *testing.T, client *azkeys.Client) {
	t.Helper()
	if _, err := client.DeleteKey(t.Context(), "exportable", nil); err != nil {
		t.Fatal(err)
	}
	deleted, err := client.GetDeletedKey(t.Context(), "exportable", nil)
	if err != nil || !deleted.DeletedDate.Equal(epoch) {
		t.Errorf("deleted %v, %v", deleted.DeletedDate, err)
	}
	if _, err := client.RecoverDeletedKey(t.Context(), "exportable", nil); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteKey(t.Context(), "exportable", nil); err != nil {
		t.Fatal(err)
	}
	page, err := client.NewListDeletedKeyPropertiesPager(nil).NextPage(t.Context())
	if err != nil || len(page.Value) != 1 {
		t.Errorf("%d deleted, %v", len(page.Value), err)
	}
	if _, err := client.PurgeDeletedKey(t.Context(), "exportable", nil); err != nil {
		t.Error(err)
	}
}
