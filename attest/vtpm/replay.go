package vtpm

import (
	"fmt"
	"strings"
)

// Replay returns the values of all PCRs that the events extend.
func (l *EventLog) Replay() PCRs {
	values := make(PCRs)
	for _, e := range l.events {
		if e.Type == NoAction {
			continue
		}
		value, begun := values[e.PCR]
		if !begun {
			value = l.start(e.PCR)
		}
		values[e.PCR] = value.extend(e.Digest)
	}
	return values
}

// start returns the value before the first event. PCR 0 starts with the locality (PFP,
// TCG_EfiStartupLocalityEvent).
func (l *EventLog) start(pcr int) Digest {
	value := initial(pcr)
	if pcr == 0 {
		value[len(value)-1] = l.locality
	}
	return value
}

// Explain checks that the events lead to the values of the PCRs in s. A PCR without events
// must have its initial value. Its error wraps [ErrLog] and names each PCR that differs.
func (l *EventLog) Explain(values PCRs, s Selection) error {
	replayed := l.Replay()
	var wrong []string
	for _, pcr := range s.List() {
		value, given := values[pcr]
		told, logged := replayed[pcr]
		switch {
		case !given:
			wrong = append(wrong, fmt.Sprintf("the value of PCR %d is missing", pcr))
		case logged && told != value:
			wrong = append(wrong, fmt.Sprintf("PCR %d is %s, its %d events lead to %s", pcr, value, l.extended(pcr), told))
		case !logged && value != l.start(pcr):
			wrong = append(wrong, fmt.Sprintf("PCR %d is %s and has no events", pcr, value))
		}
	}
	if wrong != nil {
		return fmt.Errorf("%w: the log does not match: %s", ErrLog, strings.Join(wrong, "; "))
	}
	return nil
}
