package e2e

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"skr/api"
	"skr/internal/sidecar/keyspb"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

// keysClient returns a client of the sidecar's gRPC service for keys in use.
func keysClient(t *testing.T, address string) keyspb.KeysClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return keyspb.NewKeysClient(conn)
}

// Applications use keys that stay in the sidecar, or in their vault, by gRPC.
func TestKeysOverGRPC(t *testing.T) {
	t.Parallel()
	address := program.FreeAddress(t)
	keeperOf(t, map[string]keptKey{
		"kept": {spec: emulator.KeySpec{Size: 2048}, ops: `["encrypt","decrypt","sign","verify"]`},
		"hsm":  {spec: emulator.KeySpec{Size: 2048}, ops: `["encrypt","decrypt","sign","verify"]`, inVault: true},
	}, "SKR_GRPC_LISTEN="+address)
	client := keysClient(t, address)
	text, digest := []byte("a message"), sha256.Sum256([]byte("text"))
	for _, alias := range []string{"kept", "hsm"} {
		ask := func(alg string, in *keyspb.OperationInput) *keyspb.OperationRequest {
			return &keyspb.OperationRequest{Alias: alias, Alg: alg, Input: in}
		}
		sealed, err := client.Encrypt(t.Context(), ask("RSA-OAEP-256", &keyspb.OperationInput{Value: text}))
		if err != nil {
			t.Fatalf("%s: %v", alias, err)
		}
		batch := &keyspb.OperationRequest{Alias: alias, Alg: "RSA-OAEP-256", Batch: []*keyspb.OperationInput{
			{Value: sealed.GetResult().GetValue()}, {Value: make([]byte, 256)},
		}}
		opened, err := client.Decrypt(t.Context(), batch)
		if results := opened.GetResults(); err != nil || len(results) != 2 || !bytes.Equal(results[0].GetValue(), text) || results[1].GetError() == "" {
			t.Errorf("%s: opened %v, %v", alias, opened, err)
		}
		signed, err := client.Sign(t.Context(), ask("PS256", &keyspb.OperationInput{Value: digest[:]}))
		if err != nil {
			t.Fatalf("%s: %v", alias, err)
		}
		verified, err := client.Verify(t.Context(), ask("PS256", &keyspb.OperationInput{Value: signed.GetResult().GetValue(), Digest: digest[:]}))
		if err != nil || !verified.GetResult().GetValid() {
			t.Errorf("%s: verified %v, %v", alias, verified, err)
		}
		if _, err := client.Wrap(t.Context(), ask("RSA-OAEP", &keyspb.OperationInput{Value: text})); status.Code(err) != grpccodes.PermissionDenied {
			t.Errorf("%s: an operation that ops do not list: %v", alias, err)
		}
	}
}

// A key that cannot be released is used in its vault, by the same client and routes.
func TestKeyInVault(t *testing.T) {
	t.Parallel()
	s := keeperOf(t, map[string]keptKey{
		"hsm": {spec: emulator.KeySpec{Size: 2048}, ops: `["decrypt","sign"]`, inVault: true},
	})
	key, err := s.client.KeptKey(t.Context(), "hsm")
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.Public().(*rsa.PublicKey)
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte("a secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := key.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || string(opened) != "a secret" {
		t.Errorf("opened %q, %v", opened, err)
	}
	digest := sha256.Sum256([]byte("text"))
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if n := s.cloud.Faults().Requests(emulator.ServiceAttest) + s.cloud.Faults().Requests(emulator.ServiceHSMRelease); n != 0 {
		t.Errorf("%d attestations and releases for a key that is used in its vault", n)
	}
	_, err = s.client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: "hsm"})
	if refused, _ := errors.AsType[*api.Error](err); refused == nil || refused.Code != api.CallerNotAllowed ||
		!strings.Contains(refused.Message, "stays in its vault") {
		t.Errorf("a release: %v", err)
	}
	text, err := os.ReadFile(s.audit)
	if err != nil || !strings.Contains(string(text), `"result":"used","operation":"decrypt","items":1,"failed":0`) ||
		!strings.Contains(string(text), key.Version()) {
		t.Errorf("audited: %v\n%s", err, text)
	}
	checkInVault(t, s)
	if err := s.cloud.Faults().Add(fault.Rule{Service: emulator.ServiceHSMKeys, Do: fault.Status, Status: 429, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Errorf("after one answer that throttles: %v", err)
	}
}

// checkInVault checks that the commands know that nothing releases the key.
func checkInVault(t *testing.T, s *keeper) {
	t.Helper()
	for command, want := range map[string]struct {
		code  int
		words string
	}{
		"doctor --alias hsm":  {0, "the vault uses it (in_vault), nothing is attested or released"},
		"release --alias hsm": {3, "stays in its vault (in_vault)"},
		"config":              {0, "in_vault: true"},
	} {
		c := exec.CommandContext(t.Context(), program.Path("skr"), strings.Fields(command)...)
		c.Env = append(s.env, "SKR_AUDIT_FILE="+filepath.Join(t.TempDir(), "audit.log")) // a file for each process
		out, err := c.CombinedOutput()
		if c.ProcessState == nil || c.ProcessState.ExitCode() != want.code || !strings.Contains(string(out), want.words) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}
