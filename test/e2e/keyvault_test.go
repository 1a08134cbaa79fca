package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/test/program"
)

// localToken is a credential that sends the token of a file.
type localToken string

func (t localToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	text, err := os.ReadFile(string(t))
	return azcore.AccessToken{Token: string(text), ExpiresOn: time.Now().Add(time.Hour)}, err
}

// vaultClient starts a sidecar with crypto_listen, and returns the SDK's client and an HTTP client.
func vaultClient(t *testing.T) (*azkeys.Client, *http.Client, string) {
	t.Helper()
	dir, address := t.TempDir(), program.FreeAddress(t)
	newKeeper(t, "SKR_CRYPTO_LISTEN="+address, "SKR_CRYPTO_DIR="+dir)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate in ca.pem")
	}
	if info, err := os.Stat(filepath.Join(dir, "token")); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	client, err := azkeys.NewClient("https://"+address, localToken(filepath.Join(dir, "token")), &azkeys.ClientOptions{
		ClientOptions:                        azcore.ClientOptions{Transport: plain},
		DisableChallengeResourceVerification: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, plain, "https://" + address
}

// Azure's own client works with keys that stay in the sidecar, unmodified.
func TestAzureClientUsesKeptKeys(t *testing.T) {
	t.Parallel()
	client, plain, base := vaultClient(t)
	got, err := client.GetKey(t.Context(), "rsa", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(got.Key.N), E: 65537}
	if len(got.Key.D) > 0 || !strings.HasPrefix(string(*got.Key.KID), base+"/keys/rsa/") || len(got.Key.KID.Version()) != 32 {
		t.Errorf("got the key %v", *got.Key.KID)
	}
	version := got.Key.KID.Version()
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte("a secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	parameters := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: sealed}
	for _, version := range []string{"", version} {
		opened, err := client.Decrypt(t.Context(), "rsa", version, parameters, nil)
		if err != nil || string(opened.Result) != "a secret" || opened.KID.Version() != got.Key.KID.Version() {
			t.Fatalf("decrypt: %v", err)
		}
		unwrapped, err := client.UnwrapKey(t.Context(), "rsa", version, parameters, nil)
		if err != nil || string(unwrapped.Result) != "a secret" {
			t.Fatalf("unwrap: %v", err)
		}
	}
	digest := sha256.Sum256([]byte("text"))
	for name, algorithm := range map[string]azkeys.SignatureAlgorithm{"rsa": "PS256", "p256": "ES256", "k256": "ES256K"} {
		signed, err := client.Sign(t.Context(), name, "", azkeys.SignParameters{Algorithm: &algorithm, Value: digest[:]}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "k256" {
			verified, err := client.Verify(t.Context(), name, "", azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest[:], Signature: signed.Result}, nil)
			if err != nil || !*verified.Value {
				t.Errorf("verify: %v", err)
			}
		}
	}
	encrypted, err := client.Encrypt(t.Context(), "aes", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmA256GCM), Value: []byte("a message"), AdditionalAuthenticatedData: []byte("topic"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	decrypted, err := client.Decrypt(t.Context(), "aes", "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmA256GCM), Value: encrypted.Result, IV: encrypted.IV,
		AuthenticationTag: encrypted.AuthenticationTag, AdditionalAuthenticatedData: []byte("topic"),
	}, nil)
	if err != nil || string(decrypted.Result) != "a message" {
		t.Errorf("decrypt: %v", err)
	}
	checkVaultRefusals(t, client, plain, base)
}

// checkVaultRefusals checks that refusals have the form and the codes of the vault.
func checkVaultRefusals(t *testing.T, client *azkeys.Client, plain *http.Client, base string) {
	t.Helper()
	value := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: make([]byte, 384)}
	release := azkeys.ReleaseParameters{TargetAttestationToken: to.Ptr("e30.e30.c2ln")}
	for name, c := range map[string]struct {
		ask    func() error
		status int
		code   string
	}{
		"wrong ciphertext":  {func() error { _, err := client.Decrypt(t.Context(), "rsa", "", value, nil); return err }, 400, "BadParameter"},
		"right that is not": {func() error { _, err := client.Encrypt(t.Context(), "rsa", "", value, nil); return err }, 403, "Forbidden"},
		"no alias":          {func() error { _, err := client.GetKey(t.Context(), "absent", "", nil); return err }, 400, "BadParameter"},
		"release":           {func() error { _, err := client.Release(t.Context(), "rsa", "", release, nil); return err }, 404, "NotFound"},
		"delete":            {func() error { _, err := client.DeleteKey(t.Context(), "rsa", nil); return err }, 404, "NotFound"},
		"list": {func() error {
			_, err := client.NewListKeyPropertiesPager(nil).NextPage(t.Context())
			return err
		}, 404, "NotFound"},
	} {
		err := c.ask()
		refused, _ := errors.AsType[*azcore.ResponseError](err)
		if refused == nil || refused.StatusCode != c.status || refused.ErrorCode != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		token, host string
		status      int
	}{"no token": {"", "", 401}, "another token": {"Bearer other", "", 401}, "another host": {"", "evil.example", 403}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/keys/rsa?api-version=7.4", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", c.token)
		if c.host != "" {
			request.Host = c.host
		}
		response, err := plain.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || c.status == 401 && !strings.Contains(response.Header.Get("WWW-Authenticate"), `resource="https://vault.azure.net"`) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
}
