package keyrelease

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"skr/hsm"
	"skr/internal/secmem"
)

// newKey sets the private field of a key, which only a vault's verified
// statement can make otherwise.
func newKey() *hsm.Key {
	key := &hsm.Key{}
	field := reflect.ValueOf(key).Elem().FieldByName("held")
	*(**secmem.Buffer)(unsafe.Pointer(field.UnsafeAddr())) = secmem.Hold([]byte(`{"kty":"oct","k":"c2VjcmV0"}`))
	return key
}

func isWiped(key *hsm.Key) bool {
	_, err := key.JWK()
	return err != nil
}

// kept is the cache's own key, and how many it has.
func (c *keyCache) kept(asked question) (*hsm.Key, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[asked]; held != nil {
		return held.key, len(c.held)
	}
	return nil, len(c.held)
}

func TestKeysAreKeptForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &keyCache{ttl: time.Minute, held: map[question]*heldKey{}}
		asked := parseRequest(t, "a.eus.attest.azure.net").question()
		released := newKey()
		c.keep(asked, released)
		released.Wipe() // the first caller's
		time.Sleep(time.Minute - 1)
		copied := c.take(t.Context(), asked)
		if copied == nil || isWiped(copied) {
			t.Fatal("it is not kept")
		}
		kept, _ := c.kept(asked)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if c.take(t.Context(), asked) != nil || !isWiped(kept) {
			t.Error("it is kept longer, or not wiped")
		}
		if isWiped(copied) {
			t.Error("the copy of a caller is wiped")
		}
	})
}

// Another token, key or authority is another question.
func TestKeysOfOthersAreNotGiven(t *testing.T) {
	c := &keyCache{ttl: time.Minute, held: map[question]*heldKey{}}
	mine := parseRequest(t, "a.eus.attest.azure.net")
	c.keep(mine.question(), newKey())
	theirs := mine
	theirs.Access = secmem.NewText("another token")
	elsewhere := parseRequest(t, "b.eus.attest.azure.net")
	if c.take(t.Context(), theirs.question()) != nil || c.take(t.Context(), elsewhere.question()) != nil {
		t.Error("the key of another question was given")
	}
}

func TestKeysAreReplacedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &keyCache{ttl: time.Minute, held: map[question]*heldKey{}}
		asked := parseRequest(t, "a.eus.attest.azure.net").question()
		c.keep(asked, newKey())
		old, _ := c.kept(asked)
		time.Sleep(30 * time.Second)
		c.keep(asked, newKey())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !isWiped(old) || c.take(t.Context(), asked) == nil {
			t.Error("the older is not wiped, or its end took the newer along")
		}
		for i := range 3 * maxKeys {
			asked.access[0], asked.access[1] = byte(i), byte(i>>8)
			c.keep(asked, newKey())
			if _, number := c.kept(asked); number > maxKeys {
				t.Fatalf("%d keys are kept", number)
			}
		}
	})
}

func TestNothingIsKeptByDefault(t *testing.T) {
	c := &keyCache{held: map[question]*heldKey{}}
	asked := parseRequest(t, "a.eus.attest.azure.net").question()
	if c.keep(asked, newKey()); len(c.held) != 0 || c.take(t.Context(), asked) != nil {
		t.Error("a key is kept")
	}
}
