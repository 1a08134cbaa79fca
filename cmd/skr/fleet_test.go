package main

import (
	"strings"
	"testing"
	"time"
)

func TestFleet(t *testing.T) {
	now := time.Now()
	s := &settings{FleetWindow: time.Hour, FleetMember: "10.1.2.3"}
	fleet, err := s.fleet(now)
	if err != nil || fleet.Window != time.Hour || !fleet.First.IsZero() {
		t.Errorf("got %+v, %v", fleet, err)
	}
	s.FleetInTurn = true
	if again, err := s.fleet(now); err != nil || again.Place != fleet.Place || again.First.Before(now) || !again.First.Before(now.Add(time.Hour)) {
		t.Errorf("in turn: %+v, %v", again, err)
	}
	s.FleetMember = "pod-7"
	if _, err := s.fleet(now); err == nil {
		t.Error("a name is taken for a member")
	}
}

func TestBadFleet(t *testing.T) {
	for variable, want := range map[string]string{"SKR_FLEET_WINDOW=-1s": "negative", "SKR_FLEET_IN_TURN=true": "fleet_window"} {
		name, value, _ := strings.Cut(variable, "=")
		if _, _, err := load(nil, environment{name: value}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", variable, err, want)
		}
	}
}
