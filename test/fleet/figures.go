package fleet

import (
	"fmt"
	"slices"
	"time"
)

// settled is when the first wave is over: what follows is what the policy is
// judged by.
const settled = 10 // seconds

// figures sum a run up.
type figures struct {
	total          float64 // of pods ÷ limit
	vault, maa     float64 // requests a pod, of all regions
	median, max    time.Duration
	first, settled float64 // most requests to one vault in a second of the first 10, and after them, of the limit
	memory         uint64
}

// perSecond is the limit of a vault in a second.
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

const header = `| policy | got a key | total | vault requests a pod | authority requests a pod | median wait | longest wait | peak, first 10 s | peak, later |
|---|---|---|---|---|---|---|---|---|
`

// row of the table in docs/fleet.md.
func (r *Result) row() string {
	f := r.figures()
	return fmt.Sprintf("| %s | %d of %d | %.2f × | %.2f | %.2f | %s | %s | %.2f × | %.2f × |\n",
		r.Config.Policy.Name, len(r.Waits), r.Config.Pods, f.total, f.vault, f.maa,
		f.median.Round(time.Second), f.max.Round(time.Second), f.first, f.settled)
}
