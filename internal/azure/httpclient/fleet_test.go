package httpclient

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTurnIsOnTheDial(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "window"))
		fleet := Fleet{Window: window, Place: rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "place")}
		from := time.Unix(0, rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "from"))
		turn := fleet.Turn(from)
		if wait := turn.Sub(from); wait < 0 || wait > 0 && wait >= window {
			t.Fatalf("the turn comes after %v", wait)
		}
		if window > 0 && turn.UnixNano()%int64(window) != int64(fleet.Place*float64(window)) {
			t.Fatalf("%v is not the member's place", turn)
		}
	})
}

// TestPlacesAreEven checks that similar members, such as the pods of a set or the addresses
// of nodes, are spread more evenly than by chance.
func TestPlacesAreEven(t *testing.T) {
	for name, members := range map[string]func(i int) string{
		"index":                  func(i int) string { return fmt.Sprint(i) },
		"100 addresses per node": func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i/25600, i/100%256, i%100+5) },
		"30 addresses per node":  func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i/7680, i/30%256, i%30+4) },
		"IPv6":                   func(i int) string { return fmt.Sprintf("fd00::%x:%x", i/100+1, i%100+1) },
	} {
		t.Run(name, func(t *testing.T) {
			const total, slots = 20_000, 400
			counts := make([]int, slots)
			for i := range total {
				place, err := ParsePlace(members(i))
				if err != nil || place < 0 || place >= 1 {
					t.Fatalf("member %q has place %v (%v)", members(i), place, err)
				}
				counts[int(place*slots)]++
			}
			t.Logf("50 on average; from %d to %d", slices.Min(counts), slices.Max(counts))
			if most := slices.Max(counts); most > 58 {
				t.Errorf("a slot for 50 members has %d", most)
			}
		})
	}
}

func TestParsePlace(t *testing.T) {
	for _, bad := range []string{"pod-1", "-1", "1.5", " 1", "10.0.0", "18446744073709551616", "fe80::1%"} {
		if _, err := ParsePlace(bad); err == nil {
			t.Errorf("%q was accepted as a member", bad)
		}
	}
	first, _ := ParsePlace("")
	second, _ := ParsePlace("")
	if first == second {
		t.Error("two members without a name have the same place")
	}
}
