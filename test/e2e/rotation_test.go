package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skr/api"
	"skr/internal/sidecar/keyproviderpb"
	"skr/test/emulator"
	"skr/test/program"
)

// rotation is a sidecar whose key is rotated, and the files of the key's versions.
type rotation struct {
	cloud *emulator.Cloud
	vault string
	env   []string
	keys  string // the directory of key information
}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	r := &rotation{cloud: cloud, vault: cloud.Host("demo", "vault"), env: cloud.Environment(cloud.Machine()), keys: t.TempDir()}
	r.operate(t, "key", "create", "orders", "--authority", cloud.AttestationHost(), "--platform", "aci",
		"--measurement", cloud.Machine().HostData().String(), "--size", "2048")
	return r
}

// rotate makes a version of the key "orders", with its files, and returns it.
func (r *rotation) rotate(t *testing.T) (version string) {
	t.Helper()
	r.operate(t, "key", "rotate", "orders", "--replace")
	return r.version(t)
}

func (r *rotation) operate(t *testing.T, args ...string) {
	t.Helper()
	if _, stderr, code := operate(t, r.env, "", append(args, "--vault", r.vault, "--out-dir", r.keys)...); code != 0 {
		t.Fatal(stderr)
	}
}

// version returns the version in the file of the key.
func (r *rotation) version(t *testing.T) string {
	t.Helper()
	info, err := os.ReadFile(filepath.Join(r.keys, "orders-info.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(info), "/keys/orders/")
	version, _, _ := strings.Cut(text, `"`)
	return version
}

// aliases returns the setting keys with an alias for each value of versions.
func (r *rotation) aliases(versions map[string]string) string {
	var all []string
	for name, value := range versions {
		all = append(all, fmt.Sprintf(`%q:{"vault":%q,"key":"orders","authority":%q,"versions":%s}`, name, r.vault, r.cloud.AttestationHost(), value))
	}
	return "SKR_KEYS={" + strings.Join(all, ",") + "}"
}

// A rotated key is served within key_cache_ttl, without a restart: no answer with the old
// version is older than that. Old versions can be had by their names.
func TestRotatedKeyIsPickedUp(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	r := newRotation(t)
	first := r.version(t)
	s := start(t, append(r.env, fmt.Sprintf("SKR_KEY_CACHE_TTL=%s", ttl),
		r.aliases(map[string]string{"orders": `"all"`, "newest": `"latest"`, "first": `["` + first + `"]`}))).ready(t)
	if got := r.release(t, s, "orders", ""); got.Version() != first {
		t.Fatalf("released %q, want %q", got.Version(), first)
	}
	second := r.rotate(t)
	var last api.Key
	eventually(t, "the new version is served", func() bool {
		last = r.release(t, s, "orders", "")
		if last.Version() == first && last.Age > ttl {
			t.Errorf("the old version is %v old", last.Age)
		}
		return last.Version() == second
	})
	if !strings.HasSuffix(last.ID, "/keys/orders/"+second) {
		t.Errorf("the answer names %s", last.ID)
	}
	for _, c := range []struct {
		alias, version, want string
		code                 api.Code
	}{
		{"orders", first, first, ""},
		{"orders", second, second, ""},
		{"first", "", first, ""},
		{"first", first, first, ""},
		{"first", second, "", api.CallerNotAllowed},
		{"newest", "", second, ""},
		{"newest", second, second, ""},
		{"newest", first, "", api.CallerNotAllowed},
		{"orders", strings.Repeat("0", 32), "", api.KeyNotFound},
		{"orders", "../secrets", "", api.BadRequest},
	} {
		key, err := s.client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: c.alias, Version: c.version})
		refused, _ := errors.AsType[*api.Error](err)
		if c.code == "" && (err != nil || key.Version() != c.want) || c.code != "" && (refused == nil || refused.Code != c.code) {
			t.Errorf("%s at %q: %q, %v, want %q%s", c.alias, c.version, key.Version(), err, c.want, c.code)
		}
	}
	stdout, stderr, code := once(t, append(r.env, r.aliases(map[string]string{"orders": `"all"`})), "",
		"release", "--alias", "orders", "--key-version", first)
	if code != 0 || !strings.Contains(stdout, `"kty"`) {
		t.Errorf("skr release by version: %s", stderr)
	}
}

func (r *rotation) release(t *testing.T, s *sidecar, alias, version string) api.Key {
	t.Helper()
	key, err := s.client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: alias, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What was wrapped before a rotation opens after it: the annotation carries the version. An
// annotation without a version opens if the alias lists the version.
func TestOldAnnotationsOpen(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	first := r.version(t)
	old := r.wrap(t)
	if !strings.Contains(string(old), `"kid":"orders/`+first+`"`) {
		t.Fatalf("the annotation is %s", old)
	}
	bare := []byte(strings.Replace(string(old), "orders/"+first, "orders", 1))
	second := r.rotate(t)
	young := r.wrap(t)
	if !strings.Contains(string(young), second) {
		t.Fatalf("the annotation is %s", young)
	}
	for name, c := range map[string]struct {
		setting     string
		opens, bare bool // whether the old annotation opens, with and without its version
	}{
		"no alias": {"", true, false},
		"all":      {r.aliases(map[string]string{"orders": `"all"`}), true, false},
		"listed":   {r.aliases(map[string]string{"orders": `["latest","` + first + `"]`}), true, true},
		"latest":   {r.aliases(map[string]string{"orders": `"latest"`}), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			env := append(r.env, "SKR_KEY_CACHE_TTL=1h")
			if c.setting != "" {
				env = append(env, c.setting, fmt.Sprintf(`SKR_ACCESS=[{"name":"us","uid":%d,"routes":["*"],"keys":["orders"]}]`, os.Getuid()))
			}
			unwrap := r.provider(t, env)
			for _, a := range []struct {
				text  []byte
				opens bool
			}{{young, true}, {old, c.opens}, {bare, c.bare}} {
				if err := unwrap(a.text); (err == nil) != a.opens {
					t.Errorf("%.60s: got %v, want it to open: %v", a.text, err, a.opens)
				}
			}
		})
	}
}

// wrap returns an annotation of a secret, in JSON, for the newest version that has files.
func (r *rotation) wrap(t *testing.T) []byte {
	t.Helper()
	annotation, stderr, code := once(t, r.env, "a secret", "wrap", "--key", "orders", "--wrap-keys", r.keys)
	if code != 0 {
		t.Fatal(stderr)
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(annotation))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// provider starts a sidecar with a key provider on a socket, so that the access section can tell the
// caller by its user, and returns a function that opens an annotation.
func (r *rotation) provider(t *testing.T, env []string) func([]byte) error {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "skr.sock")
	start(t, append(env, "SKR_GRPC_LISTEN=unix:"+socket, "SKR_LISTEN=unix:"+socket+"2"))
	eventually(t, "the key provider listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := keyproviderpb.NewKeyProviderServiceClient(conn)
	return func(annotation []byte) error {
		input := `{"op":"keyunwrap","keyunwrapparams":{"dc":null,"annotation":"` + base64.StdEncoding.EncodeToString(annotation) + `"}}`
		answer, err := client.UnWrapKey(t.Context(), protocol(input))
		if err == nil && !strings.Contains(string(answer.GetKeyProviderKeyWrapProtocolOutput()), base64.StdEncoding.EncodeToString([]byte("a secret"))) {
			t.Errorf("opened %s", answer.GetKeyProviderKeyWrapProtocolOutput())
		}
		return err
	}
}
