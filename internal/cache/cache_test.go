package cache

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// A caller that fills the cache evicts only its own values.
func TestOneCallerDoesNotEvictAnother(t *testing.T) {
	c := New[string, int](4)
	c.Put("victim", "mine", 1)
	c.Put("victim", "ours", 2)
	c.Put("flooder", "ours", 3) // also holds the value, so that releasing it must not evict it
	for i := range 100 {
		c.Put("flooder", strconv.Itoa(i), i)
	}
	for key, want := range map[string]int{"mine": 1, "ours": 3, "99": 99, "96": 96} {
		if got, found := c.Peek(key); !found || got != want {
			t.Errorf("%s is %d, %v; want %d", key, got, found, want)
		}
	}
	if c.Len() != 6 {
		t.Errorf("%d values, want 4 of the flooder and 2 of the victim", c.Len())
	}
}

// A value that a caller uses but did not add stays for that caller.
func TestUseHolds(t *testing.T) {
	c := New[string, int](2)
	c.Put("first", "k", 1)
	if _, found := c.Get("second", "k"); !found {
		t.Fatal("the value is missing")
	}
	c.Put("first", "x", 0)
	c.Put("first", "y", 0)
	if _, found := c.Peek("k"); !found {
		t.Error("the first caller evicted a value that the second uses")
	}
	c.Put("second", "a", 0)
	c.Put("second", "b", 0)
	if _, found := c.Peek("k"); found {
		t.Error("the value is kept without a holder")
	}
}

func TestEvictedAndBefore(t *testing.T) {
	var evicted []string
	c := New[string, int](3)
	c.Evicted = func(key string, _ int) { evicted = append(evicted, key) }
	c.Before = func(a, b int) bool { return a < b }
	for key, value := range map[string]int{"low": 1, "mid": 2, "high": 3} {
		c.Put("c", key, value)
	}
	c.Put("c", "new", 5) // replaces low, not the least recently used
	c.Put("c", "newer", 5)
	c.Delete("high")
	if !slices.Equal(evicted, []string{"low", "mid"}) || c.Len() != 2 {
		t.Errorf("evicted %v, %d remain", evicted, c.Len())
	}
	if got := slices.Sorted(maps.Keys(maps.Collect(c.All()))); !slices.Equal(got, []string{"new", "newer"}) {
		t.Errorf("remaining: %v", got)
	}
}

// For any sequence of calls, the bounds hold and the counts agree.
func TestBounds(t *testing.T) {
	const each = 5
	random := rand.New(rand.NewPCG(1, 2))
	c := New[int, int](each)
	for range 20_000 {
		caller, key := fmt.Sprint(random.IntN(2*maxCallers)), random.IntN(50)
		switch random.IntN(4) {
		case 0:
			c.Delete(key)
		case 1:
			c.Get(caller, key)
		default:
			c.Put(caller, key, key)
		}
		holds := map[int]int{}
		for _, h := range c.holders {
			if len(h.used) > each {
				t.Fatalf("a caller holds %d", len(h.used))
			}
			for e := range h.used {
				holds[e.key]++
			}
		}
		if len(c.holders) > maxCallers {
			t.Fatalf("%d callers", len(c.holders))
		}
		for key, e := range c.entries {
			if e.holders == 0 || e.holders != holds[key] {
				t.Fatalf("%d has %d holders, counted %d", key, holds[key], e.holders)
			}
		}
		if len(holds) != c.Len() {
			t.Fatalf("%d held, %d in the cache", len(holds), c.Len())
		}
	}
}

func TestCaller(t *testing.T) {
	if got := Caller(For(context.Background(), "uid 7")); got != "uid 7" || Caller(t.Context()) != "" {
		t.Errorf("caller is %q", got)
	}
}
