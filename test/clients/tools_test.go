package clients

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getsops/sops/v3/azkv"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure" // azurekms://

	"skr/test/tool"
)

// clients are what the test binary does instead of testing.
var clients = map[string]func(ctx context.Context, host string) error{"sops": sops, "cosign": cosign}

// sops encrypts and decrypts a data key as the program sops does for azure_kv.
func sops(ctx context.Context, host string) error {
	key, err := azkv.NewMasterKeyFromURL("https://" + host + "/keys/all/")
	if err != nil {
		return err
	}
	if err := key.EncryptContext(ctx, []byte("a data key")); err != nil {
		return err
	}
	read := azkv.NewMasterKey(key.VaultURL, key.Name, key.Version) // as from the file
	read.SetEncryptedDataKey(key.EncryptedDataKey())
	opened, err := read.DecryptContext(ctx)
	fmt.Printf("%s %d\n", opened, len(key.Version))
	return err
}

// cosign signs and verifies a text as the program cosign does for azurekms://.
func cosign(ctx context.Context, host string) error {
	for _, name := range []string{"p256", "all"} {
		key, err := kms.Get(ctx, "azurekms://"+host+"/"+name, crypto.SHA256)
		if err != nil {
			return err
		}
		signature, err := key.SignMessage(strings.NewReader("a text"))
		if err != nil {
			return err
		}
		if err := key.VerifySignature(bytes.NewReader(signature), strings.NewReader("a text")); err != nil {
			return err
		}
		if key.VerifySignature(bytes.NewReader(signature), strings.NewReader("another")) == nil {
			return errors.New("a wrong signature is verified")
		}
		fmt.Println("signed", name)
	}
	return nil
}

// TestSOPS and TestCosign run what the programs link, with what their users can set: a line in
// the hosts file, and variables.
func TestSOPS(t *testing.T) { runTool(t, "sops", "a data key 32\n") }

func TestCosign(t *testing.T) { runTool(t, "cosign", "signed p256\nsigned all\n") }

// inNamespace gives a command its own hosts file.
const inNamespace = `mount --bind "$0" /etc/hosts && exec "$@"`

func runTool(t *testing.T, program, want string) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "true").Run(); err != nil {
		tool.Missing(t, "a mount namespace ("+err.Error()+")", "apt-get install util-linux")
	}
	v := newVault(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost "+name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "sh", "-c", inNamespace, hosts, self, name+":"+v.port)
	process.Env = append(v.managed(t), clientVariable+"="+program, "SSL_CERT_FILE="+v.ca())
	run(t, process, want)
}
