package metrics

import "time"

// every returns each metric at least once. A test of package sidecar compares them, with the values
// that the program has for labels, with docs/reference/metrics.md.
func every() *Metrics {
	m := New(some)
	m.Finished(release("ok"))
	m.Released("released", "ok")
	m.Used("decrypt", "ok", 1, time.Millisecond)
	m.Wrote("written")
	m.Unmet("x-ms-sevsnpvm-hostdata")
	m.Asked("maa", "2xx", time.Second)
	now := func() (time.Time, time.Time) { return time.Now(), time.Now() }
	m.Watch(State{
		Ready: func() bool { return true }, Load: func() (int, int) { return 0, 0 }, Certificates: now, Token: now,
		OpenCircuits: func() map[string]int { return map[string]int{"maa": 0} }, SecretMemory: func() string { return "none" },
		Connections: map[string]func() (int, uint64){"http": func() (int, uint64) { return 1, 1 }}, Withheld: func() uint64 { return 1 },
		Watchers: func() int { return 1 }, Sinks: func() (int, int) { return 2, 1 },
	})
	return m
}
