package fleet

import (
	"math/rand/v2"
	"strconv"
	"time"

	"skr/internal/azure/httpclient"
)

// Policy is how pods wait.
type Policy struct {
	// Name in tables and plots.
	Name string
	// Window, InTurn: the settings fleet_window and fleet_in_turn.
	Window time.Duration
	InTurn bool
	// Index gives each pod its number as fleet_member; else its turn is at random.
	Index bool
	// Insist takes skr's policy away altogether.
	Insist bool
}

// fleet is what the n-th pod's configuration makes of it.
func (p Policy) fleet(n int, chance *rand.Rand) httpclient.Fleet {
	fleet := httpclient.Fleet{Window: p.Window, Place: chance.Float64()}
	if p.Index {
		fleet.Place, _ = httpclient.ParsePlace(strconv.Itoa(n)) // a number is always a member
	}
	if p.InTurn {
		fleet.First = fleet.Turn(time.Now())
	}
	return fleet
}
