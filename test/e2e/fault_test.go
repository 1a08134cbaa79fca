package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/snptest"
)

// atOnce is how many cases run at the same time as those that wait for their deadline. A
// small machine must answer them within their own deadline.
const atOnce = 8

// TestFaults makes each service fail in each way, and falsifies each artefact in each way.
// The answer must be the row of the error table that names the party at fault. It must
// come in time and hold no secret, and the next good call must succeed.
func TestFaults(t *testing.T) {
	t.Parallel()
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := newMatrix(t)
	other := newDecoy(t)
	var running sync.WaitGroup
	places := make(chan struct{}, atOnce)
	enter := func(want api.Code) (leave func()) {
		if want == late {
			return func() {}
		}
		places <- struct{}{}
		return func() { <-places }
	}
	var building sync.Mutex
	build := func(t *testing.T) *lab { // one at a time, because this only computes
		building.Lock()
		defer building.Unlock()
		return newLab(t, emulator.Config{Vendor: vendor})
	}
	for _, u := range upstreams {
		queue := m.queue(t, u)
		lanes := 1 + u.waiting()/2 // each with its own cloud: most of the time is waiting
		for lane := range lanes {
			running.Go(func() {
				t.Run(fmt.Sprintf("%s %d", u.name, lane+1), func(t *testing.T) {
					f := &faulty{lab: build(t), upstream: u, row: t, other: other}
					if !u.fresh {
						f.share()
					}
					for c := range queue {
						leave := enter(u.want[c.fault])
						m.run(t, u.name, c.fault, func(t *testing.T) { f.try(t, c) })
						leave()
					}
				})
			})
		}
	}
	running.Go(func() { t.Run(reportRow, func(t *testing.T) { reportArtefacts(t, m, build(t)) }) })
	running.Go(func() { t.Run(chainRow, func(t *testing.T) { chainArtefacts(t, m, build(t)) }) })
	running.Wait()
	if other.guests.Load() != 0 {
		t.Errorf("the host that the redirects name got %d requests", other.guests.Load())
	}
	m.print(t, "upstream or artefact")
}

// faultCase is one case of an upstream.
type faultCase struct {
	fault string // the key in outcomes
	words string // of the fault rule
}

// queue returns the cases of u in the order of the seed. The table of u must have an
// outcome for each fault.
func (m *matrix) queue(t *testing.T, u upstream) <-chan faultCase {
	t.Helper()
	if !u.artefact {
		for _, name := range faults {
			if _, ok := u.want[name]; !ok {
				t.Errorf("%s: no outcome for %q", u.name, name)
			}
		}
	}
	random := m.random(u.name)
	names := slices.Sorted(maps.Keys(u.want))
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	long := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !u.waits(name) })
	names = append(long, slices.DeleteFunc(names, u.waits)...) // the longest begin first
	queue := make(chan faultCase, len(names))
	defer close(queue)
	for _, name := range names {
		if u.want[name] == foreign {
			m.foreign(u.name)
			continue
		}
		words := name
		if equal := variants[name]; equal != nil {
			words = equal[random.IntN(len(equal))]
		}
		queue <- faultCase{name, words}
	}
	return queue
}

// faulty is a cloud with one service that fails.
type faulty struct {
	*lab
	upstream
	row     *testing.T
	other   *decoy
	shared  map[time.Duration]*sidecar // by the timeout of requests; nil if each case has its own
	updates uint8                      // of the firmware
}

func (f *faulty) environment(t *testing.T) []string {
	if f.env == nil {
		return nil
	}
	return f.env(t, f.cloud)
}

// sidecar returns a sidecar with this timeout of requests.
func (f *faulty) sidecar(t *testing.T, timeout time.Duration) *sidecar {
	if s := f.shared[timeout]; s != nil {
		return s
	}
	return f.newSidecar(t, timeout)
}

func (f *faulty) newSidecar(t *testing.T, timeout time.Duration) *sidecar {
	s := f.lab.sidecar(t, append(f.environment(t), "SKR_REQUEST_TIMEOUT="+timeout.String())...)
	s.timeout = timeout
	return s
}

// share starts the sidecars that several cases use.
func (f *faulty) share() {
	f.shared = map[time.Duration]*sidecar{}
	for fault := range f.want {
		if timeout := f.timeout(fault); f.shared[timeout] == nil {
			f.shared[timeout] = f.newSidecar(f.row, timeout)
		}
	}
}

// renew replaces the shared sidecars after the host throttled. A throttled sidecar does
// not ask again for a while, and a shared one may have asked in the background.
func (f *faulty) renew(t *testing.T, timeout time.Duration) *sidecar {
	if f.shared != nil {
		f.share()
	}
	return f.sidecar(t, timeout)
}

// try injects one fault, and then none.
func (f *faulty) try(t *testing.T, c faultCase) {
	if f.byTCB {
		f.update()
	}
	if c.fault == nothingListens {
		f.tryDetour(t)
		return
	}
	rule := f.rule(t, c.words)
	if err := f.cloud.Faults().Add(rule); err != nil {
		t.Fatal(err)
	}
	defer f.cloud.Faults().Clear()
	f.cloud.Faults().ResetCounters()
	timeout := f.timeout(c.fault)
	s, throttles := f.sidecar(t, timeout), strings.HasPrefix(c.fault, "status=429")
	if throttles {
		s = f.newSidecar(t, timeout) // it will not call the host again for a while
	}
	begin := len(s.log.String())
	defer func() { f.inspect(t, s, begin) }()
	f.answers(t, s, f.request(), f.want[c.fault])
	if f.cloud.Faults().Requests(cmp.Or(f.counted(rule), f.service)) == 0 {
		t.Errorf("%s got no request", f.service)
	}
	f.cloud.Faults().Clear()
	switch {
	case throttles:
		s = f.renew(t, timeout)
	case f.own && rule.Do == fault.Clock:
		s = f.sidecar(t, timeout) // this one keeps the token, which the vault refuses for ten minutes
	}
	f.answers(t, s, f.request(), served)
}

// tryDetour tries the case where nothing listens at the service's address.
func (f *faulty) tryDetour(t *testing.T) {
	d := f.detour(t, f)
	timeout := f.timeout(nothingListens)
	s := f.lab.sidecar(t, slices.Concat(f.environment(t), d.env, []string{"SKR_REQUEST_TIMEOUT=" + timeout.String()})...)
	s.timeout = timeout
	request := f.request()
	if d.named != nil {
		d.named(&request)
	}
	f.answers(t, s, request, f.want[nothingListens])
	d.gate.open(t)
	f.answers(t, s, f.request(), served)
}

// update updates the firmware, so that no certificate is cached.
func (f *faulty) update() {
	f.updates++
	levels := f.cloud.Chip().TCB().Components()
	levels.Microcode = f.updates
	f.cloud.Chip().SetTCB(levels)
}

// rule returns the rule of a fault: for the service, or for its host while the path is
// not known.
func (f *faulty) rule(t *testing.T, words string) fault.Rule {
	t.Helper()
	if strings.Contains(words, "%s") {
		words = fmt.Sprintf(words, "http://"+f.other.address+"/")
	}
	head, _, _ := strings.Cut(f.service, "/")
	service := f.service
	switch action, _, _ := strings.Cut(words, "="); fault.Action(action) {
	case fault.Refuse, fault.TLS:
		service = head
	case fault.Clock:
		service = cmp.Or(f.clock, head)
	}
	rule, err := fault.ParseRule(service + ":" + words)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// counted returns the name under which connections without a request are counted.
func (f *faulty) counted(r fault.Rule) string {
	if r.Do == fault.Refuse || r.Do == fault.TLS {
		return r.Service
	}
	return ""
}

func (f *faulty) request() api.ReleaseRequest {
	request := f.lab.request()
	if f.own {
		request.AccessToken = nil
	}
	return request
}

// answers sends the row's request and expects this outcome.
func (f *faulty) answers(t *testing.T, s *sidecar, request api.ReleaseRequest, want api.Code) {
	t.Helper()
	if f.ask == nil {
		f.expect(t, s, request, want)
		return
	}
	expectOf(t, s, f.ask, request, want)
}
