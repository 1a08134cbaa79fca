package outbound

import (
	"strings"
	"testing"
	"time"

	"skr/internal/config"
)

func TestFleet(t *testing.T) {
	now := time.Now()
	s := &config.Settings{FleetWindow: time.Hour, FleetMember: "10.1.2.3"}
	fleet, err := placeInFleet(s, now)
	if err != nil || fleet.Window != time.Hour || !fleet.First.IsZero() {
		t.Errorf("got %+v, %v", fleet, err)
	}
	s.FleetInTurn = true
	if again, err := placeInFleet(s, now); err != nil || again.Place != fleet.Place || again.First.Before(now) || !again.First.Before(now.Add(time.Hour)) {
		t.Errorf("in turn: %+v, %v", again, err)
	}
	s.FleetMember = "pod-7"
	if _, err := placeInFleet(s, now); err == nil {
		t.Error("a name was accepted as a member")
	}
}

func TestBadFleet(t *testing.T) {
	for variable, want := range map[string]string{"SKR_FLEET_WINDOW=-1s": "negative", "SKR_FLEET_IN_TURN=true": "fleet_window"} {
		name, value, _ := strings.Cut(variable, "=")
		if _, _, err := config.Load(nil, config.Environment{name: value}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", variable, err, want)
		}
	}
}
