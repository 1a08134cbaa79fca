package fleet

import (
	"fmt"
	"slices"
	"time"
)

// settled is when the first wave is over. The policy is judged by what follows.
const settled = 10 // seconds

// figures summarise a run.
type figures struct {
	total          float64 // of pods ÷ limit
	vault, maa     float64 // requests per pod, over all regions
	median, max    time.Duration
	first, settled float64 // peak requests per second to one vault ÷ limit, in the first 10 s and later
	memory         uint64
}

// perSecond is the limit of a vault per second.
const perSecond = float64(vaultLimit) / float64(window/time.Second)

// ideal is how long one vault takes to serve all pods.
func ideal(pods int) time.Duration {
	return time.Duration(float64(pods) / perSecond * float64(time.Second))
}

func (r *Result) figures() figures {
	pods := float64(r.Config.Pods)
	f := figures{total: float64(r.Total) / float64(ideal(r.Config.Pods)), memory: r.Memory}
	for _, service := range r.Authorities {
		f.maa += float64(service.Asked) / pods
	}
	for _, service := range r.Vaults {
		f.vault += float64(service.Asked) / pods
		wave := min(settled, len(service.Rate))
		f.first = max(f.first, most(service.Rate[:wave])/perSecond)
		f.settled = max(f.settled, most(service.Rate[wave:])/perSecond)
	}
	if len(r.Waits) > 0 {
		f.median, f.max = r.Waits[len(r.Waits)/2], r.Waits[len(r.Waits)-1]
	}
	return f
}

func most(rates []int) float64 {
	if len(rates) == 0 {
		return 0
	}
	return float64(slices.Max(rates))
}

const header = "| policy | got a key | total | vault requests per pod | authority requests per pod " +
	"| median wait | longest wait | peak, first 10 s | peak, later |\n|---|---|---|---|---|---|---|---|---|\n"

// row returns the run's row of the table in docs/fleet.md.
func (r *Result) row() string {
	f := r.figures()
	return fmt.Sprintf("| %s | %d of %d | %.2f × | %.2f | %.2f | %s | %s | %.2f × | %.2f × |\n",
		r.Config.Policy.Name, len(r.Waits), r.Config.Pods, f.total, f.vault, f.maa,
		f.median.Round(time.Second), f.max.Round(time.Second), f.first, f.settled)
}
