package follow

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// keyOf sets private fields of a key. Otherwise only a vault's verified statement can make one.
func keyOf(version string) *hsm.Key {
	key := &hsm.Key{}
	fields := reflect.ValueOf(key).Elem()
	*(**secmem.Buffer)(unsafe.Pointer(fields.FieldByName("held").UnsafeAddr())) = secmem.Hold([]byte(`{"kty":"oct","k":"c2VjcmV0"}`))
	*(*string)(unsafe.Pointer(fields.FieldByName("id").UnsafeAddr())) = "https://v.vault.azure.net/keys/k/" + version
	return key
}

var (
	first  = strings.Repeat("1", 32)
	second = strings.Repeat("2", 32)
)

// vault counts releases. It refuses with no if that is set.
type vault struct {
	mu      sync.Mutex
	version string
	no      error
	asked   []time.Time
}

func (v *vault) release(context.Context, string) (*hsm.Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = append(v.asked, time.Now())
	if v.no != nil {
		return nil, v.no
	}
	return keyOf(v.version), nil
}

func (v *vault) set(version string, no error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version, v.no = version, no
}

func (v *vault) times() []time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.asked)
}

// run starts a Follower until the test ends.
func run(t *testing.T, v *vault, held ...string) *Follower {
	t.Helper()
	f := New(Config{Aliases: []string{"k", "other"}, Held: held, Release: v.release, Every: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	return f
}

func wait(t *testing.T, f *Follower, known string, timeout time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	version, err := f.Wait(ctx, "k", known)
	return version.Version, err
}

// However many wait for an alias, the vault gets one request an interval, and none at rest.
func TestOneReleaseForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{version: first}
		f := run(t, v)
		time.Sleep(10 * time.Hour)
		if v.count() != 0 {
			t.Fatalf("%d releases although nothing waits", v.count())
		}
		if got, err := wait(t, f, "", time.Minute); got != first || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if got, err := wait(t, f, first, 10*time.Hour); got != second || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		time.Sleep(5 * time.Hour)
		if n := v.count(); n < 5 || n > 8 {
			t.Errorf("%d releases in 5 hours", n)
		}
		v.set(second, nil)
		begun := time.Now()
		all.Wait()
		if took := time.Since(begun); took > time.Hour {
			t.Errorf("the new version was seen after %v", took)
		}
		before := v.count()
		time.Sleep(10 * time.Hour)
		if n := v.count() - before; n > 1 {
			t.Errorf("%d releases after the last watcher left", n)
		}
		v.set(first, nil) // a caller that comes later is not told of what was seen long ago
		if got, err := wait(t, f, "", time.Minute); got != first || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// Nothing changed is the same version at the end of the time.
func TestNothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, &vault{version: first})
		begun := time.Now()
		if got, err := wait(t, f, first, time.Minute); got != first || err != nil || time.Since(begun) != time.Minute {
			t.Errorf("got %q, %v after %v", got, err, time.Since(begun))
		}
		begun = time.Now()
		if got, err := wait(t, f, second, time.Minute); got != first || err != nil || time.Since(begun) != 0 {
			t.Errorf("got %q, %v after %v", got, err, time.Since(begun))
		}
	})
}

// Callers that come and go again and again do not make the vault get more requests.
func TestComingAndGoing(t *testing.T) {
	for _, no := range []error{nil, refusal.Newf(refusal.ReleaseRejected, "no")} {
		synctest.Test(t, func(t *testing.T) {
			v := &vault{version: first, no: no}
			f := run(t, v)
			for range 1000 {
				_, err := wait(t, f, first, time.Millisecond)
				if no != nil && !errors.Is(err, no) {
					t.Fatalf("got %v", err)
				}
			}
			if n := v.count(); n > 1 {
				t.Errorf("%v: %d releases in a second", no, n)
			}
		})
	}
}

// A release that a caller requested counts too: Wait never returns an older version after it.
func TestReleasesOfCallersAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{version: first}
		f := run(t, v)
		var all sync.WaitGroup
		all.Go(func() {
			begun := time.Now()
			if got, err := wait(t, f, first, time.Hour); got != second || err != nil || time.Since(begun) != time.Second {
				t.Errorf("got %q, %v after %v", got, err, time.Since(begun))
			}
		})
		time.Sleep(time.Second)
		key := keyOf(second)
		f.Saw("k", key)
		key.Wipe()
		all.Wait()
		if got, _ := wait(t, f, second, time.Second); got != second {
			t.Errorf("got %q", got)
		}
	})
}

// During an outage, those who wait keep what they know, and the vault gets fewer requests. Its end
// is noticed.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &refusal.Error{Kind: refusal.Throttled, Reason: "slower", RetryAfter: 7 * time.Second}
		v := &vault{version: first, no: down}
		f := run(t, v, "k")
		news := f.Subscribe([]string{"k"})
		<-news
		if _, err := f.Key("k"); !errors.Is(err, down) || f.Err("k") == nil {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Hour)
		asked := v.times()
		for i := 1; i < len(asked); i++ {
			if gap := asked[i].Sub(asked[i-1]); gap < 7*time.Second || gap > mostLimit+7*time.Second {
				t.Errorf("release %d comes %v after the one before", i, gap)
			}
		}
		if n := v.count(); n < 10 || n > 40 {
			t.Errorf("%d releases in an hour of outage", n)
		}
		v.set(first, nil)
		time.Sleep(mostLimit + 7*time.Second)
		synctest.Wait()
		key, err := f.Key("k")
		if err != nil || key.Version() != first || f.Err("k") != nil {
			t.Fatalf("got %v, %v", err, f.Err("k"))
		}
		defer key.Wipe()
		v.set("", down)
		time.Sleep(2 * time.Hour)
		if f.Err("k") == nil {
			t.Error("the failure is not told")
		}
		if got, err := wait(t, f, first, time.Second); got != first || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		again, err := f.Key("k")
		if err != nil || again.Version() != first {
			t.Errorf("the key is lost in an outage: %v", err)
		}
		again.Wipe()
	})
}

// A held key changes with its version, and is wiped at the end.
func TestHeldKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{version: first}
		f := New(Config{Aliases: []string{"k"}, Held: []string{"k"}, Release: v.release, Every: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		news := f.Subscribe([]string{"k"})
		go f.Run(ctx)
		<-news
		v.set(second, nil)
		<-news
		key, err := f.Key("k")
		if err != nil || key.Version() != second {
			t.Errorf("got %v, %v", key.Version(), err)
		}
		key.Wipe()
		kept := f.aliases["k"].key
		cancel()
		synctest.Wait()
		if _, err := kept.JWK(); err == nil {
			t.Error("the key is not wiped")
		}
		if key, _ := f.Key("k"); key != nil {
			t.Error("the key can still be had")
		}
	})
}

func TestUnknownAlias(t *testing.T) {
	if _, err := New(Config{}).Wait(t.Context(), "x", ""); !errors.Is(err, refusal.BadRequest) {
		t.Errorf("got %v", err)
	}
}

// A panic of a release is a failure like another.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{version: first}
		f := run(t, v)
		f.config.Release = func(context.Context, string) (*hsm.Key, error) { panic("x") }
		if _, err := wait(t, f, "", time.Minute); err == nil {
			t.Error("no error")
		}
	})
}
