package e2e

import "time"

const (
	// requestTimeout is the deadline of sidecars that call silent services. A request to
	// such a service takes this long.
	requestTimeout = 20 * time.Second
	// attemptsTimeout is the deadline if all attempts of a request fail. It must not pass
	// on a busy machine. The waits between the four attempts take at most 3.5 s, but each
	// attempt opens connections, and often makes keys.
	attemptsTimeout = time.Minute
	// answerSlack is how long after the deadline an answer may come on a busy machine. A
	// silent service is silent for a minute, so an answer that waits for it comes later.
	answerSlack = requestTimeout / 2
	// patience is how long tests wait for an event that must happen.
	patience = 3 * time.Minute
)
