package e2e

import "time"

const (
	// requestTimeout of the sidecars that meet faults; services that say nothing
	// cost it. The waits between four attempts are 3.5 s at most, and the attempts
	// themselves are slow on a loaded machine.
	requestTimeout = 20 * time.Second
	// answerSlack is how much later an answer may come on a machine that is busy
	// with other tests. A service that says nothing does so for a minute: whoever
	// waits for it instead of the deadline is later than that.
	answerSlack = requestTimeout / 2
)
