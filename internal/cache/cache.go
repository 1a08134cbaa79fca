// Package cache bounds what skr keeps for its callers: values ([Cache]) and rates ([Rates]).
// One caller cannot evict what another uses.
//
//	keys := cache.New[question, *Key](64)
//	key, found := keys.Get(cache.Caller(ctx), asked)
//
// A plain bounded map has one limit for all callers: one that names many hosts evicts what
// the others use. Here each caller holds what it uses, up to a limit of its own. A value
// leaves when its last holder lets go of it.
//
// The server names the caller with [For]. What skr does on its own behalf has the
// empty name.
package cache

import (
	"context"
	"iter"
)

// maxCallers is how many callers hold something. One more takes the place of the
// caller that was idle for longest. A pod has a few callers, and a caller has to be
// root to take another uid for each request.
const maxCallers = 32

type callerKey struct{}

// For returns a context in which the caller of that name holds what is kept.
func For(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// Caller returns the name that [For] put into ctx, or "".
func Caller(ctx context.Context) string {
	caller, _ := ctx.Value(callerKey{}).(string)
	return caller
}

// Cache is a bounded map. It is not safe for concurrent use: its owner has a lock for more
// than the map.
type Cache[K comparable, V any] struct {
	// Before reports whether a leaves before b if a caller holds too many. With nil, and if
	// neither leaves before the other, the least recently used one leaves.
	Before func(a, b V) bool
	// Evicted is called with what leaves because its last holder lets go of it. Nil does
	// nothing.
	Evicted func(K, V)

	each    int
	clock   uint64 // counts uses
	entries map[K]*entry[K, V]
	holders map[string]*holder[K, V] // at most maxCallers
}

type entry[K comparable, V any] struct {
	key     K
	value   V
	holders int
}

// holder is a caller with what it holds.
type holder[K comparable, V any] struct {
	used map[*entry[K, V]]uint64 // when it used each last, by Cache.clock; at most each
	last uint64                  // when it used any
}

// New makes a cache in which each caller holds at most each values.
func New[K comparable, V any](each int) *Cache[K, V] {
	return &Cache[K, V]{each: each, entries: make(map[K]*entry[K, V]), holders: make(map[string]*holder[K, V])}
}

// Get returns the value, which the caller then holds.
func (c *Cache[K, V]) Get(caller string, key K) (value V, found bool) {
	e := c.entries[key]
	if e == nil {
		return value, false
	}
	c.hold(caller, e)
	return e.value, true
}

// Peek returns the value and changes no holder.
func (c *Cache[K, V]) Peek(key K) (value V, found bool) {
	if e := c.entries[key]; e != nil {
		return e.value, true
	}
	return value, false
}

// Put keeps the value, in the place of an older one, for the caller and the older
// one's holders.
func (c *Cache[K, V]) Put(caller string, key K, value V) {
	e := c.entries[key]
	if e == nil {
		e = &entry[K, V]{key: key}
		c.entries[key] = e
	}
	e.value = value
	c.hold(caller, e)
}

// Delete forgets the value for all its holders. It does not call Evicted.
func (c *Cache[K, V]) Delete(key K) {
	e := c.entries[key]
	delete(c.entries, key)
	for _, h := range c.holders {
		delete(h.used, e)
	}
}

// Len returns how many values there are.
func (c *Cache[K, V]) Len() int { return len(c.entries) }

// All returns the values. The cache must not change meanwhile.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, e := range c.entries {
			if !yield(key, e.value) {
				return
			}
		}
	}
}
