package e2e

import "time"

const (
	// requestTimeout is the deadline of sidecars that meet silent services: a request to
	// such a service takes this long.
	requestTimeout = 20 * time.Second
	// attemptsTimeout is the deadline where all attempts of a request fail, which must not
	// become a timeout on a busy machine. The waits between the four attempts are 3.5 s at
	// most, but each attempt makes connections, and often keys.
	attemptsTimeout = time.Minute
	// answerSlack is how much later than the deadline an answer may come on a busy machine.
	// A silent service is silent for a minute: an answer that waits for it comes later.
	answerSlack = requestTimeout / 2
	// patience is how long tests wait for what must happen in the end.
	patience = 3 * time.Minute
)
