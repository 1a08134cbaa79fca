package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/test/emulator"
)

const (
	demoKeyBits = 3072
	demoKey     = "payroll"
	demoSecret  = "Azure Confidential Computing"
	demoTimeout = time.Minute
	// strangerPolicy is the execution policy of a pod that must not get the key.
	strangerPolicy = "package policy\n\n# another pod, TEST ONLY\ndefault allow := false\n"
)

func demoCommand(out io.Writer) *cobra.Command {
	var skr, platform string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Release a key to a client of the real sidecar, step by step",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return demo(ctx, cmp.Or(skr, siblingBinary()), platform, out)
		},
	}
	cmd.Flags().StringVar(&skr, "skr", "", "the sidecar to run; if empty, skr in the directory of this program")
	platformFlag(cmd.Flags(), &platform)
	return cmd
}

func platformFlag(flags *pflag.FlagSet, into *string) {
	flags.StringVar(into, "platform", string(emulator.ACI),
		"platform of the emulated machine: aci, aks-kata, cvm, cvm-tdx or trusted-launch; the last three need swtpm")
}

func siblingBinary() string {
	self, err := os.Executable()
	if err != nil {
		return "skr"
	}
	return filepath.Join(filepath.Dir(self), "skr")
}

// stage is a running demonstration.
type stage struct {
	script

	out   io.Writer
	step  int
	skr   string
	cloud *emulator.Cloud
	vault string
}

func demo(ctx context.Context, skr, platform string, out io.Writer) error {
	kind, err := emulator.ParsePlatform(platform)
	if err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	dir, remove, err := workDir()
	if err != nil {
		return err
	}
	defer remove()
	cloud, err := emulator.Start(ctx, emulator.Config{Dir: dir, Machine: emulator.MachineConfig{Platform: kind}})
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }() // the process exits anyway
	s := &stage{script: scripts[kind], out: out, skr: skr, cloud: cloud, vault: cloud.Host("demo", "vault")}
	s.tell("An emulated Azure runs on this machine",
		"attestation  https://"+cloud.AttestationHost(), "key vault    https://"+s.vault,
		s.silicon)
	return s.play(ctx)
}

func (s *stage) play(ctx context.Context) error {
	public, err := s.createKey(ctx)
	if err != nil {
		return err
	}
	ciphertext, err := rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, public, []byte(demoSecret), nil)
	if err != nil {
		return err
	}
	s.tell("A producer encrypts a message with the public half (RSA-OAEP-256)",
		fmt.Sprintf("plain        %q", demoSecret), fmt.Sprintf("encrypted    %x…, %d bytes", ciphertext[:16], len(ciphertext)))
	if err := s.playMachine(ctx, ciphertext); err != nil {
		return err
	}
	if err := s.playKept(ctx, ciphertext); err != nil {
		return err
	}
	return s.playRefusal(ctx)
}

func (s *stage) playMachine(ctx context.Context, ciphertext []byte) error {
	sidecar, err := startSidecar(ctx, s.skr, s.cloud.Environment(s.cloud.Machine()))
	if err != nil {
		return err
	}
	defer sidecar.stop()
	if s.token {
		if err := s.playToken(ctx, sidecar); err != nil {
			return err
		}
	}
	return s.playRelease(ctx, sidecar, ciphertext)
}

func (s *stage) createKey(ctx context.Context) (*rsa.PublicKey, error) {
	machine := s.cloud.Machine()
	policy, err := releasePolicy(s.cloud.AttestationHost(), machine)
	if err != nil {
		return nil, err
	}
	id, err := s.cloud.CreateKey(ctx, s.vault, emulator.KeySpec{Name: demoKey, Size: demoKeyBits}, policy)
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("key          %s, RSA-HSM %d", id, demoKeyBits),
		"released to  " + strings.Join(s.bound, "\n                "),
	}
	for _, c := range conditions(machine) {
		lines = append(lines, fmt.Sprintf("             %s = %s", c.Claim, c.Equals))
	}
	s.tell("An operator creates a key in the vault and binds it", lines...)
	return s.publicKey(ctx, id)
}

// publicKey gets the public key from the vault, as a producer does.
func (s *stage) publicKey(ctx context.Context, id string) (*rsa.PublicKey, error) {
	token, err := s.cloud.AccessToken(s.vault)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, id+"?api-version=7.4", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.cloud.HTTPClient().Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // the body has been read
	var bundle struct {
		Key jwk.Key `json:"key"`
	}
	if err := json.NewDecoder(response.Body).Decode(&bundle); err != nil {
		return nil, err
	}
	key, err := bundle.Key.PublicKey()
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the vault's key is a %T", key)
	}
	return public, nil
}

func (s *stage) playRelease(ctx context.Context, sidecar *sidecar, ciphertext []byte) error {
	began := time.Now()
	key, err := sidecar.client.Release(ctx, s.request())
	if err != nil {
		return fmt.Errorf("releasing the key: %w", err)
	}
	took := time.Since(began)
	defer clear(key)
	plain, err := decrypt(key, ciphertext)
	if err != nil {
		return err
	}
	s.tell(s.place+", skr runs beside the application, which asks it for the key",
		"POST http://"+sidecar.address+"/key/release",
		fmt.Sprintf(`     {"maa_endpoint":%q,"akv_endpoint":%q,"kid":%q}`, s.cloud.AttestationHost(), s.vault, demoKey),
		fmt.Sprintf("200  a private JWK, after %d ms: %s, token, statement and key were verified", took.Milliseconds(), s.evidence))
	if plain != demoSecret {
		return fmt.Errorf("the decrypted message is %q", plain)
	}
	s.tell("The application decrypts the message with the released key", fmt.Sprintf("plain        %q", plain))
	return nil
}

func (s *stage) playRefusal(ctx context.Context) error {
	config := s.stranger
	config.Platform = s.cloud.Machine().Platform()
	stranger, err := s.cloud.AddMachine("stranger", config)
	if err != nil {
		return err
	}
	sidecar, err := startSidecar(ctx, s.skr, s.cloud.Environment(stranger))
	if err != nil {
		return err
	}
	defer sidecar.stop()
	_, err = sidecar.client.Release(ctx, s.request())
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || !errors.Is(err, api.ReleaseRejected) {
		return fmt.Errorf("the vault must refuse the second machine; got: %w", err)
	}
	s.tell(s.refused, s.strange(stranger),
		fmt.Sprintf("%d  %s", refused.Status, refused.Code), "     "+refused.Message)
	_, err = fmt.Fprintln(s.out, "\n"+s.moral)
	return err
}

func (s *stage) request() api.ReleaseRequest {
	return api.ReleaseRequest{MAAEndpoint: s.cloud.AttestationHost(), AKVEndpoint: s.vault, KID: demoKey}
}

// tell prints a numbered step.
func (s *stage) tell(title string, lines ...string) {
	s.step++
	_, _ = fmt.Fprintf(s.out, "\n%d. %s\n   %s\n", s.step, title, strings.Join(lines, "\n   ")) // output errors do not matter
}

func decrypt(key api.Secret, ciphertext []byte) (string, error) {
	parsed, err := jwk.Parse(key)
	if err != nil {
		return "", err
	}
	private, err := parsed.PrivateKey()
	if err != nil {
		return "", err
	}
	pair, ok := private.(*rsa.PrivateKey)
	if !ok {
		return "", fmt.Errorf("the released key is a %T", private)
	}
	plain, err := rsa.DecryptOAEP(crypto.SHA256.New(), nil, pair, ciphertext, nil)
	return string(plain), err
}
