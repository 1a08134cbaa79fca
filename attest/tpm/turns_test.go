package tpm

import (
	"slices"
	"testing"
)

// served takes all tickets in the order in which they become ready.
func served(t *testing.T, held *ticket, waiting []*ticket) (users []uint32) {
	t.Helper()
	held.leave()
	for range waiting {
		i := slices.IndexFunc(waiting, func(k *ticket) bool {
			select {
			case <-k.ready:
				return !k.left
			default:
				return false
			}
		})
		if i < 0 {
			t.Fatalf("after %v no ticket is ready", users)
		}
		users = append(users, waiting[i].user)
		waiting[i].leave()
	}
	return users
}

// A user with many tickets delays another user by one turn.
func TestTurnsRotate(t *testing.T) {
	var turns turns
	held := turns.join(1)
	var waiting []*ticket
	for _, user := range []uint32{1, 1, 1, 1, 2, 3, 2} {
		waiting = append(waiting, turns.join(user))
	}
	if got, want := served(t, held, waiting), []uint32{1, 2, 3, 1, 2, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("users are served as %v, want %v", got, want)
	}
	if again := turns.join(9); turns.held {
		again.leave()
	}
	if turns.held || len(turns.order) != 0 || len(turns.queues) != 0 {
		t.Errorf("afterwards: held %t, order %v, queues %v", turns.held, turns.order, turns.queues)
	}
}

// A ticket that is given up while it waits is skipped.
func TestTurnsGivenUp(t *testing.T) {
	var turns turns
	held := turns.join(1)
	first, second, third := turns.join(2), turns.join(2), turns.join(3)
	first.leave()
	first.leave()
	if got := served(t, held, []*ticket{second, third}); !slices.Equal(got, []uint32{2, 3}) {
		t.Errorf("users are served as %v", got)
	}
	held.leave() // the second call has no effect
	if turns.held {
		t.Error("the lock is held without a holder")
	}
}
