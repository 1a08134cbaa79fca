package sinks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"skr/hsm"
	"skr/internal/envelope"
	"skr/internal/jose/jwk"
	"skr/internal/refusal"
)

// source has keys as a follower has them.
type source struct {
	mu     sync.Mutex
	keys   map[string]*hsm.Key // by alias, and by alias/version
	failed map[string]error
	news   []chan struct{}
}

func (s *source) Key(alias string) (*hsm.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := s.keys[alias]; key != nil {
		return key.Clone(), nil
	}
	return nil, s.failed[alias]
}

func (s *source) At(_ context.Context, alias, version string) (*hsm.Key, error) {
	if key, err := s.Key(alias + "/" + version); key != nil || err != nil {
		return key, err
	}
	return nil, refusal.Newf(refusal.CallerNotAllowed, "not this version")
}

func (s *source) Err(alias string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed[alias]
}

func (s *source) Subscribe([]string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := make(chan struct{}, 1)
	s.news = append(s.news, news)
	return news
}

// set changes the key, which may be nil, and the error of an alias.
func (s *source) set(alias string, key *hsm.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != nil {
		s.keys[alias] = key
	}
	s.failed[alias] = err
	for _, news := range s.news {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

func newSource() *source { return &source{keys: map[string]*hsm.Key{}, failed: map[string]error{}} }

func version(n int) string { return strings.Repeat(fmt.Sprint(n), 32) }

// named sets the identifier, which otherwise comes from a vault's verified statement.
func identify(t testing.TB, key *hsm.Key, n int) *hsm.Key {
	t.Helper()
	*(*string)(unsafe.Pointer(reflect.ValueOf(key).Elem().FieldByName("id").UnsafeAddr())) = "https://v.vault.azure.net/keys/k/" + version(n)
	t.Cleanup(key.Wipe)
	return key
}

// symmetric returns a key whose bytes are 32 times the letter.
func symmetric(t testing.TB, letter string, n int) *hsm.Key {
	t.Helper()
	key, err := hsm.ReadSecret([]byte(strings.Repeat(letter, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return identify(t, key, n)
}

// pair returns an EC key and what seals to it.
func pair(t testing.TB, n int) (*hsm.Key, func(secret string) string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hsm.ReadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwk.FromPublic(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public.Kid = "https://v.vault.azure.net/keys/k/" + version(n)
	return identify(t, key, n), func(secret string) string {
		text, err := envelope.Seal(public, []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// memory returns a directory in memory.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "skr-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func put(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// rights permit "k" everything, "kept" to open envelopes, and "sign" nothing of both.
func rights(alias string, right Right) error {
	if alias == "k" || alias == "kept" && right == Open {
		return nil
	}
	return errors.New("alias: the ops do not permit it")
}

func known(alias string) error {
	if alias == "k" || alias == "kept" || alias == "sign" {
		return nil
	}
	return errors.New("alias: is none of the keys in the configuration")
}

func config(specs ...Spec) Config {
	return Config{
		Specs: specs, Known: known, May: rights,
		Record: func(context.Context, string, string, Right, *hsm.Key) error { return nil },
	}
}

func open(t testing.TB, c Config) *Sinks {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running runs sinks until the function that it returns is called.
func running(t testing.TB, s *Sinks, keys Keys) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { s.Run(ctx, keys) })
	return func() { cancel(); ended.Wait() }
}

// A sink follows its key. A vault that refuses stops nothing: the old file stays, the failure is
// told, and its end is noticed.
func TestRotation(t *testing.T) {
	path := filepath.Join(memory(t), "key")
	synctest.Test(t, func(t *testing.T) {
		var results []Result
		c := config(Spec{Path: path, Aliases: []string{"k"}, Format: "raw"})
		c.Done = func(r Result) { results = append(results, r) }
		s, keys := open(t, c), newSource()
		stop := running(t, s, keys)
		defer stop()
		want := func(content string, ready bool, problem string) {
			t.Helper()
			synctest.Wait()
			if got := read(t, path); got != content {
				t.Errorf("the file holds %q, want %q", got, content)
			}
			if err := s.Err(); (err == nil) != ready {
				t.Errorf("ready: %v", err)
			}
			problems := fmt.Sprint(s.Problems())
			if problem == "" && problems != "[]" || !strings.Contains(problems, problem) {
				t.Errorf("problems %s, want %q", problems, problem)
			}
		}
		want("", false, "skr is starting")
		no := refusal.Newf(refusal.ReleaseRejected, "the policy is not met")
		keys.set("k", nil, no)
		want("", false, "release rejected: the policy is not met")
		if err := s.Err(); !errors.Is(err, refusal.ReleaseRejected) || !strings.Contains(err.Error(), path) {
			t.Errorf("not ready: %v", err)
		}
		keys.set("k", symmetric(t, "a", 1), nil)
		want(strings.Repeat("a", 32), true, "")
		keys.set("k", nil, no)
		want(strings.Repeat("a", 32), true, "the policy is not met")
		keys.set("k", symmetric(t, "b", 2), nil)
		want(strings.Repeat("b", 32), true, "")
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o400 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
		stop()
		if got := read(t, path); got != strings.Repeat("b", 32) {
			t.Errorf("after the stop the file holds %q", got)
		}
		if got := fmt.Sprint(results); got != "[failed written failed written]" {
			t.Errorf("results %s", got)
		}
	})
}

// A file that cannot be written is tried again until it can.
func TestWriteIsRetried(t *testing.T) {
	dir := memory(t)
	path := filepath.Join(dir, "sub", "key")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, keys := open(t, config(Spec{Path: path, Aliases: []string{"k"}, Format: "raw"})), newSource()
		keys.set("k", symmetric(t, "a", 1), nil)
		if err := os.Remove(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		defer running(t, s, keys)()
		time.Sleep(time.Hour)
		if len(s.Problems()) != 1 {
			t.Error("the failure is not told")
		}
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastRetry)
		synctest.Wait()
		if s.Err() != nil || s.Problems() != nil || read(t, path) == "" {
			t.Errorf("not written: %v", s.Problems())
		}
	})
}

// Without a record there is no file.
func TestUnrecorded(t *testing.T) {
	path := filepath.Join(memory(t), "key")
	synctest.Test(t, func(t *testing.T) {
		c := config(Spec{Path: path, Aliases: []string{"k"}, Format: "raw"})
		var mu sync.Mutex
		full, records := errors.New("full"), 0
		c.Record = func(_ context.Context, got, alias string, right Right, key *hsm.Key) error {
			mu.Lock()
			defer mu.Unlock()
			if records++; got != path || alias != "k" || right != Give || key.Version() != version(1) {
				t.Errorf("recorded %s %s %v %s", got, alias, right, key.ID())
			}
			return full
		}
		s, keys := open(t, c), newSource()
		keys.set("k", symmetric(t, "a", 1), nil)
		defer running(t, s, keys)()
		synctest.Wait()
		if read(t, path) != "" || !errors.Is(s.Err(), refusal.Unavailable) {
			t.Errorf("written without a record: %v", s.Err())
		}
		mu.Lock()
		full = nil
		mu.Unlock()
		time.Sleep(lastRetry)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if before := records; read(t, path) == "" || before < 2 {
			t.Errorf("not written after %d records", before)
		}
	})
}

// keep: false removes the file at the stop.
func TestRemove(t *testing.T) {
	path := filepath.Join(memory(t), "key")
	synctest.Test(t, func(t *testing.T) {
		s, keys := open(t, config(Spec{Path: path, Aliases: []string{"k"}, Format: "raw", Remove: true})), newSource()
		keys.set("k", symmetric(t, "a", 1), nil)
		stop := running(t, s, keys)
		synctest.Wait()
		if read(t, path) == "" {
			t.Error("not written")
		}
		if stop(); read(t, path) != "" {
			t.Error("not removed")
		}
	})
}

// An envelope is opened with the key, also one that was sealed to an older version that the alias
// gives. A new envelope is noticed.
func TestEnvelope(t *testing.T) {
	dir := memory(t)
	path := filepath.Join(dir, "password")
	first, seal := pair(t, 1)
	second, sealNew := pair(t, 2)
	file := put(t, filepath.Join(dir, "password.jwe"), seal("secret 1"))
	synctest.Test(t, func(t *testing.T) {
		var uses []string
		c := config(Spec{Path: path, Aliases: []string{"kept"}, Envelopes: []string{file}, Owner: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())})
		c.Record = func(_ context.Context, _, alias string, right Right, key *hsm.Key) error {
			uses = append(uses, fmt.Sprint(alias, right, key.Version()[:1]))
			return nil
		}
		s, keys := open(t, c), newSource()
		keys.set("kept", first, nil)
		defer running(t, s, keys)()
		want := func(content string) {
			t.Helper()
			synctest.Wait()
			if got := read(t, path); got != content {
				t.Errorf("the file holds %q, want %q: %v", got, content, s.Problems())
			}
		}
		want("secret 1")
		put(t, file, seal("secret 2"))
		time.Sleep(lookEvery)
		want("secret 2")
		keys.set("kept", second, nil)
		want("secret 2")
		if got := fmt.Sprint(s.Problems()); !strings.Contains(got, "a version that the alias does not give") {
			t.Errorf("problems %s", got)
		}
		keys.set("kept/"+version(1), first, nil)
		put(t, file, seal("secret 3"))
		time.Sleep(lastRetry)
		want("secret 3")
		put(t, file, sealNew("secret 4"))
		time.Sleep(lookEvery)
		want("secret 4")
		put(t, file, "no envelope")
		time.Sleep(lookEvery)
		want("secret 4")
		if got := fmt.Sprint(s.Problems()); !strings.Contains(got, "which has five parts") {
			t.Errorf("problems %s", got)
		}
		if got := fmt.Sprint(uses); got != "[kept1"+"1 kept1"+"2]" && got != "[kept 1 1 kept 1 2]" {
			t.Errorf("uses %s", got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o440 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
	})
}

// What a configuration must not have is refused at the start, with the member that is wrong.
func TestRefusedAtStart(t *testing.T) {
	dir := memory(t)
	path := filepath.Join(dir, "key")
	for _, sub := range []string{"dir", "other"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(path, filepath.Join(dir, "link")), os.Symlink(dir, filepath.Join(dir, "loop"))); err != nil {
		t.Fatal(err)
	}
	_, seal := pair(t, 1)
	sealed, wrong := put(t, filepath.Join(dir, "e.jwe"), seal("x")), put(t, filepath.Join(dir, "wrong"), "{{range 9}}{{end}}")
	key := put(t, filepath.Join(dir, "key.tmpl"), `{{key "kept" "pem"}}`)
	other := put(t, filepath.Join(dir, "other.tmpl"), `{{key "sign" "pem"}}`)
	k := []string{"k"}
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Path: "key", Aliases: k, Format: "pem"}, "path: must be the absolute path"},
		{Spec{Path: dir + "/../key", Aliases: k, Format: "pem"}, "path: must be the absolute path"},
		{Spec{Path: "/", Aliases: k, Format: "pem"}, "path: must be"},
		{Spec{Path: dir + "/dir", Aliases: k, Format: "pem"}, "is a directory"},
		{Spec{Path: dir + "/link", Aliases: k, Format: "pem"}, "a link"},
		{Spec{Path: dir + "/missing/key", Aliases: k, Format: "pem"}, "no such file or directory); mount it"},
		{Spec{Path: "/proc/key", Aliases: k, Format: "pem"}, "is not in memory"},
		{Spec{Path: path, Format: "pem"}, "alias: name the key"},
		{Spec{Path: path, Aliases: []string{"x"}, Format: "pem"}, "none of the keys"},
		{Spec{Path: path, Aliases: []string{"kept"}, Format: "pem"}, "do not permit"},
		{Spec{Path: path, Aliases: []string{"sign"}, Envelopes: []string{sealed}}, "do not permit"},
		{Spec{Path: path, Aliases: []string{"k", "kept"}, Format: "pem"}, "alias: a list is for a template"},
		{Spec{Path: path, Aliases: []string{"k", "k"}, Template: key}, "listed twice"},
		{Spec{Path: path, Aliases: k}, "format: is missing"},
		{Spec{Path: path, Aliases: k, Format: "p12"}, "format: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Envelopes: []string{sealed}}, "format: is not for"},
		{Spec{Path: path, Aliases: k, Format: "pem", Template: key}, "format: is not for a template"},
		{Spec{Path: path, Aliases: k, Envelopes: []string{dir + "/none"}}, "no such file"},
		{Spec{Path: path, Aliases: k, Envelopes: []string{wrong}}, "envelope: "},
		{Spec{Path: path, Aliases: k, Envelopes: []string{"e.jwe"}}, "absolute"},
		{Spec{Path: path, Aliases: k, Template: dir}, "not a regular file"},
		{Spec{Path: path, Aliases: k, Template: wrong}, "cannot be used"},
		{Spec{Path: path, Aliases: []string{"kept"}, Template: key}, "do not permit"},
		{Spec{Path: path, Aliases: k, Template: other}, "not in the list of this sink"},
		{Spec{Path: path, Aliases: k, Format: "pem", Mode: "0666"}, "mode: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Mode: "4400"}, "mode: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Mode: "0040"}, "mode: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Mode: "rw"}, "mode: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Owner: "app"}, "owner: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Owner: "4294967295"}, "owner: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Owner: "1:-1"}, "owner: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Exec: []string{"touch"}}, "exec: begin with the absolute path"},
		{Spec{Path: path, Aliases: k, Format: "pem", Exec: []string{dir + "/none"}}, "exec: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Signal: "HUP"}, "go together"},
		{Spec{Path: path, Aliases: k, Format: "pem", Signal: "KILL", PIDFile: "/x"}, "signal: "},
		{Spec{Path: path, Aliases: k, Format: "pem", Exec: []string{"/bin/true"}, Signal: "HUP", PIDFile: "/x"}, "use one of them"},
		{Spec{Path: path, Aliases: k, Format: "pem", Signal: "HUP", PIDFile: "x"}, "absolute"},
	} {
		s, err := New(config(c.spec))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
		if s != nil && err != nil {
			t.Error("sinks come with an error")
		}
	}
	good := Spec{Path: path, Aliases: k, Format: "pem"}
	twin := Spec{Path: filepath.Join(dir, "loop", "key"), Aliases: k, Format: "pem"}
	_, err := New(config(good, twin))
	if err == nil || !strings.Contains(err.Error(), "entry 2") || !strings.Contains(err.Error(), "entry 1 writes the same file") {
		t.Errorf("two sinks for one file: %v", err)
	}
	disk := Spec{Path: "/proc/key", Aliases: k, Format: "pem", AllowDisk: true}
	if _, err := New(config(good, disk, Spec{Path: dir + "/x", Aliases: []string{"kept"}, Envelopes: []string{sealed}, Mode: "0444"})); err != nil {
		t.Errorf("good sinks: %v", err)
	}
}

func TestNil(t *testing.T) {
	s, err := New(Config{})
	if s != nil || err != nil {
		t.Fatal(s, err)
	}
	s.Run(t.Context(), nil)
	if s.Err() != nil || s.Problems() != nil || s.Len() != 0 || s.Aliases() != nil {
		t.Error("no sinks are something")
	}
}

// jsonOf is a JWK as the application reads it.
func jsonOf(t testing.TB, text string) (members map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatal(err)
	}
	return members
}
