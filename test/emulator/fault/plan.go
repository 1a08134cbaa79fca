package fault

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Plan holds rules, latencies and request counters. It is safe for concurrent
// use. Rules are tried in the order in which they were added.
type Plan struct {
	forgeries map[string][]string // by signing service; never changed

	mu       sync.Mutex
	random   *rand.Rand // under the mutex, so that draws follow the seed
	rules    []*active
	latency  map[string]time.Duration
	requests map[string]int
}

type active struct {
	Rule
	left int // how often it may still fire; unused if Count is 0
}

func (a *active) spent() bool { return a.Count > 0 && a.left == 0 }

// NewPlan returns an empty plan with a seed for its probabilities. forgeries
// lists what each signing service can forge; nil means nothing.
func NewPlan(seed uint64, forgeries map[string][]string) *Plan {
	return &Plan{
		forgeries: forgeries,

		random:   rand.New(rand.NewPCG(seed, seed)), // must be repeatable, need not be secret
		latency:  make(map[string]time.Duration),
		requests: make(map[string]int),
	}
}

// Add appends a rule. It may be called while requests run.
func (p *Plan) Add(r Rule) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("fault: adding a rule for %q: %w", r.Service, err)
	}
	if r.Do == Forge && !p.canForge(r) {
		return fmt.Errorf("fault: adding a rule: %q has no forgery %q", r.Service, r.Forgery)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &active{r, r.Count})
	return nil
}

func (p *Plan) canForge(r Rule) bool {
	for service, known := range p.forgeries {
		if r.covers(service) && slices.Contains(known, r.Forgery) {
			return true
		}
	}
	return false
}

// Clear removes all rules and latencies; counters stay.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	clear(p.latency)
}

// SetLatency delays each request to service and everything below it.
func (p *Plan) SetLatency(service string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency[service] = d
}

// Requests returns the number of requests to service and everything below it,
// including failed ones.
func (p *Plan) Requests(service string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	for name, n := range p.requests {
		if Under(name, service) {
			total += n
		}
	}
	return total
}

// Counters returns a copy of the request counters, by service.
func (p *Plan) Counters() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.requests)
}

// ResetCounters sets every counter to zero.
func (p *Plan) ResetCounters() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.requests)
}

// Forgery returns the forgery for the next token of service; "" means none.
func (p *Plan) Forgery(service string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	rule, _ := p.fire(service, func(r *Rule) bool { return r.Do == Forge })
	return rule.Forgery
}

// begin counts a request and decides its fate.
func (p *Plan) begin(service string) (latency time.Duration, rule Rule, faulty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[service]++
	for name, d := range p.latency {
		if Under(service, name) {
			latency = max(latency, d)
		}
	}
	rule, faulty = p.fire(service, func(r *Rule) bool { return r.Do != Forge && !r.beforeRequests() })
	return latency, rule, faulty
}

// fire finds the first rule that fires and uses it up. The caller holds the
// lock.
func (p *Plan) fire(service string, wanted func(*Rule) bool) (Rule, bool) {
	for _, a := range p.rules {
		if !wanted(&a.Rule) || !a.covers(service) || a.spent() {
			continue
		}
		if a.Probability > 0 && p.random.Float64() >= a.Probability {
			continue
		}
		if a.Count > 0 {
			a.left--
		}
		return a.Rule, true
	}
	return Rule{}, false
}
