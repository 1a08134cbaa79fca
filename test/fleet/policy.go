package fleet

import (
	"math/rand/v2"
	"strconv"
	"time"

	"skr/internal/azure/httpclient"
)

// Policy is how pods wait.
type Policy struct {
	// Name is the name in tables and plots.
	Name string
	// Window and InTurn are the settings fleet_window and fleet_in_turn.
	Window time.Duration
	InTurn bool
	// Index gives each pod its number as fleet_member; otherwise its turn is random.
	Index bool
	// Insist disables skr's policy.
	Insist bool
}

// fleet returns the configuration of the n-th pod.
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
