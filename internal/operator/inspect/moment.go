package inspect

import (
	"fmt"
	"time"
)

// addTime adds a time with its distance from now: what ends then "expires in
// 3 h" or "expired 3 h ago", anything else was or will be.
func (s *Section) addTime(name string, at, now time.Time, meaning string) {
	s.add(name, at.UTC().Format(time.RFC3339), meaning+", "+distance(at, now))
}

func (s *Section) addExpiry(name string, at, now time.Time, meaning string) {
	said := "expires " + distance(at, now)
	if !at.After(now) {
		said = "expired " + distance(at, now)
	}
	s.add(name, at.UTC().Format(time.RFC3339), meaning+", "+said)
}

// distance is "in 3 h", "2 days ago" or "now".
func distance(at, now time.Time) string {
	switch apart := at.Sub(now).Round(time.Second); {
	case apart > 0:
		return "in " + length(apart)
	case apart < 0:
		return length(-apart) + " ago"
	}
	return "now"
}

// length rounds down to the unit that is worth telling.
func length(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("%d days", d/day)
	}
	return fmt.Sprintf("%d years", d/(365*day))
}
