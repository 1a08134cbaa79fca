package cache

// hold records a use, and makes room for what the caller did not hold before.
func (c *Cache[K, V]) hold(caller string, e *entry[K, V]) {
	c.clock++
	h := c.holders[caller]
	if h == nil || h.used[e] == 0 {
		e.holders++ // first: making room must not evict it
		h = c.room(caller)
	}
	h.used[e], h.last = c.clock, c.clock
}

// room returns the caller's holder, with room for one more.
func (c *Cache[K, V]) room(caller string) *holder[K, V] {
	h := c.holder(caller)
	if len(h.used) >= c.each {
		c.release(h, c.first(h))
	}
	return h
}

// holder returns the holder of that name, known or new.
func (c *Cache[K, V]) holder(caller string) *holder[K, V] {
	if h := c.holders[caller]; h != nil {
		return h
	}
	if len(c.holders) >= maxCallers {
		c.forgetIdle()
	}
	h := &holder[K, V]{used: make(map[*entry[K, V]]uint64)}
	c.holders[caller] = h
	return h
}

func (c *Cache[K, V]) forgetIdle() {
	var name string
	var idle *holder[K, V]
	for caller, h := range c.holders {
		if idle == nil || h.last < idle.last {
			name, idle = caller, h
		}
	}
	delete(c.holders, name)
	for e := range idle.used {
		c.release(idle, e)
	}
}

// first returns what the caller lets go of first.
func (c *Cache[K, V]) first(h *holder[K, V]) (first *entry[K, V]) {
	for e := range h.used {
		if first == nil || c.leavesBefore(h, e, first) {
			first = e
		}
	}
	return first
}

func (c *Cache[K, V]) leavesBefore(h *holder[K, V], a, b *entry[K, V]) bool {
	if c.Before != nil {
		if first, second := c.Before(a.value, b.value), c.Before(b.value, a.value); first != second {
			return first
		}
	}
	return h.used[a] < h.used[b]
}

// release ends a caller's hold.
func (c *Cache[K, V]) release(h *holder[K, V], e *entry[K, V]) {
	delete(h.used, e)
	if e.holders--; e.holders > 0 {
		return
	}
	delete(c.entries, e.key)
	if c.Evicted != nil {
		c.Evicted(e.key, e.value)
	}
}
