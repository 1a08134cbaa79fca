package tpm

import (
	"slices"
	"sync"
)

// turns is a lock for users that do not trust each other. Waiting users are served in rotation,
// and the tickets of one user in order. A user with a hundred tickets delays another by one turn.
type turns struct {
	mu     sync.Mutex
	held   bool
	queues map[uint32][]*ticket // by user
	order  []uint32             // users with a queue, the next one first
}

// ticket is a place in the queue, and later the lock.
type ticket struct {
	turns *turns
	user  uint32
	ready chan struct{} // closed when it is its turn
	left  bool          // under the lock of turns
}

// join adds a ticket to the queue. The caller must call leave.
func (t *turns) join(user uint32) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &ticket{turns: t, user: user, ready: make(chan struct{})}
	if !t.held {
		t.held = true
		close(k.ready)
		return k
	}
	if t.queues == nil {
		t.queues = make(map[uint32][]*ticket)
	}
	if len(t.queues[user]) == 0 {
		t.order = append(t.order, user)
	}
	t.queues[user] = append(t.queues[user], k)
	return k
}

// leave gives up the place or the lock. It may be called twice.
func (k *ticket) leave() {
	t := k.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.left {
		return
	}
	k.left = true
	select {
	case <-k.ready:
		t.next()
	default:
		t.remove(k)
	}
}

// next passes the lock to the next ticket. t.mu must be held.
func (t *turns) next() {
	if len(t.order) == 0 {
		t.held = false
		return
	}
	user := t.order[0]
	k := t.queues[user][0]
	t.remove(k)
	if len(t.queues[user]) > 0 { // to the end of the rotation
		t.order = append(slices.DeleteFunc(t.order, func(u uint32) bool { return u == user }), user)
	}
	close(k.ready)
}

// remove removes a ticket from its queue. t.mu must be held.
func (t *turns) remove(k *ticket) {
	rest := slices.DeleteFunc(t.queues[k.user], func(other *ticket) bool { return other == k })
	if len(rest) > 0 {
		t.queues[k.user] = rest
		return
	}
	delete(t.queues, k.user)
	t.order = slices.DeleteFunc(t.order, func(u uint32) bool { return u == k.user })
}
