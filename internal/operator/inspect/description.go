package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Description is a shown artefact. Its JSON form is stable.
type Description struct {
	Kind     Kind      `json:"kind"`
	Name     string    `json:"name"`
	Carrier  []string  `json:"carrier"`
	Sections []Section `json:"sections"`
}

// Section is a part of a description.
type Section struct {
	Title  string  `json:"title"`
	Fields []Field `json:"fields"`
}

// Field is one value in an artefact.
type Field struct {
	Name string `json:"name"`
	// Value is as the artefact has it: hexadecimal digits in lower case without
	// 0x, times as RFC 3339, JSON for lists.
	Value string `json:"value"`
	// Meaning is for people; it may be empty.
	Meaning string `json:"meaning,omitempty"`
}

func (s *Section) add(name, value, meaning string) {
	s.Fields = append(s.Fields, Field{name, value, meaning})
}

// addFlag adds a bit with what its two values mean.
func (s *Section) addFlag(name string, set bool, meanings [2]string) {
	meaning := meanings[0]
	if set {
		meaning = meanings[1]
	}
	s.add(name, strconv.FormatBool(set), meaning)
}

// addTime adds a time with its distance from now: "in 3 h", "2 days ago".
func (s *Section) addTime(name string, at, now time.Time, meaning string) {
	s.add(name, at.UTC().Format(time.RFC3339), meaning+", "+distance(at, now))
}

// addExpiry adds the time at which something "expires in 3 h" or "expired 3 h ago".
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

// length rounds down to the largest useful unit.
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

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
