package httpclient

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"
)

// Fleet is what a client knows of the many others like it that ask the same
// service. Its zero value knows nothing of them.
//
// Think of a dial: time goes round it once in each Window, and each member has a
// place on it. A member that is throttled waits until the hand is at its place.
// So whenever members start, and however many at once, they come back one after
// the other, as fast as the service can take them and no faster.
type Fleet struct {
	// Window is how long the service needs to serve each member once: members
	// divided by its limit, and a little more. 0 means unknown.
	Window time.Duration
	// Place on the dial, from 0 to below 1: see [ParsePlace].
	Place float64
	// First is before when nothing is asked; zero does not wait.
	First time.Time
}

// Turn returns the member's next moment, at or after the given time. It is counted
// by the clock on the wall, which all members share.
func (f Fleet) Turn(from time.Time) time.Time {
	if f.Window <= 0 {
		return from
	}
	place := time.Duration(f.Place * float64(f.Window))
	wait := (place - time.Duration(from.UnixNano()%int64(f.Window))) % f.Window
	if wait < 0 {
		wait += f.Window
	}
	return from.Add(wait)
}

// ofTurn is how long after its turn a request may still be that of the turn; it is
// less where the window is short.
const ofTurn = time.Second

// mayWait reports whether a member that is refused now may wait for its turn. One
// that has just had it would wait for a whole window.
func (f Fleet) mayWait(now time.Time) bool {
	return f.Window > 0 && f.First.IsZero() && f.Turn(now.Add(-min(ofTurn, f.Window/100))).After(now)
}

// golden is 2⁶⁴ divided by the golden ratio. Multiples of it, modulo 2⁶⁴, are
// spread more evenly than random numbers however many there are: no gap between
// neighbours is much longer than another (Knuth, The Art of Computer Programming
// volume 3, section 6.4, theorem S).
const golden = 0x9E3779B97F4A7C15

// ParsePlace makes a place of what tells members apart: a number, such as the
// index of a StatefulSet's pod, or an IP address. Those of a fleet lie close
// together and become places that are spread evenly. "" is a random place, which
// is less even.
func ParsePlace(member string) (float64, error) {
	if member == "" {
		return rand.Float64(), nil //nolint:gosec // spreads load and guards nothing
	}
	if n, err := strconv.ParseUint(member, 10, 64); err == nil {
		return place(n), nil
	}
	address, err := netip.ParseAddr(member)
	if err != nil {
		return 0, errors.New("a member is a number or an IP address")
	}
	wide := address.As16()
	return place(binary.BigEndian.Uint64(wide[8:])), nil
}

// place takes the upper 53 bits, which a float64 holds exactly.
func place(n uint64) float64 {
	_, low := bits.Mul64(n, golden)
	return float64(low>>11) / (1 << 53)
}
