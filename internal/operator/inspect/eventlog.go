package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"skr/attest/vtpm"
)

const (
	maxEvents    = 1000 // that are shown
	maxEventText = 120  // characters
)

// eventLog is what the firmware measured.
type eventLog struct{ *vtpm.EventLog }

func recogniseEventLog(in input) (content, error) {
	if !vtpm.IsEventLog(in.raw) {
		return nil, errOther
	}
	parsed, err := vtpm.ParseEventLog(in.raw)
	if err != nil {
		return nil, err
	}
	return eventLog{parsed}, nil
}

func (l eventLog) boot() Boot { return Boot{Log: l.EventLog} }

func (l eventLog) sections(now time.Time) []Section {
	replayed := pcrs(l.Replay()).sections(now)[0]
	replayed.Title = "PCRs that the events lead to, SHA-256"
	return []Section{l.secureBoot(), l.events(), replayed}
}

func (l eventLog) secureBoot() Section {
	s := Section{Title: "Secure boot, if the log is that of the quoted PCRs"}
	state, err := l.SecureBoot()
	if err != nil {
		s.add("secure boot", "not told", errors.Unwrap(err).Error())
		return s
	}
	s.addFlag("secure boot", state.Enabled, [2]string{state.Reason, "only what db allows is started"})
	for _, d := range state.Databases {
		s.add(d.Name, d.String(), strings.Join(d.Certificates, ", "))
	}
	return s
}

func (l eventLog) events() Section {
	s := Section{Title: "Events"}
	all := l.Events()
	if len(all) == 0 {
		s.add("0", "none", "the log is its header alone")
	}
	for i, e := range all {
		if i == maxEvents {
			s.add("…", strconv.Itoa(len(all)-i), "further events, which are not shown")
			break
		}
		s.add(fmt.Sprintf("%d, PCR %d", i+1, e.PCR), e.Type.String(), describeEvent(e))
	}
	return s
}

// describeEvent returns what an event measured, and its digest.
func describeEvent(e vtpm.Event) string {
	if e.Type == vtpm.NoAction {
		return "extends nothing"
	}
	about := e.Variable()
	if about == "" {
		about = eventText(e.Data)
	}
	if about == "" {
		about = fmt.Sprintf("%d bytes", len(e.Data))
	}
	return about + ", SHA-256 " + e.Digest.String()
}

// eventText returns the data if it is text, as the boot loader's commands are.
func eventText(data []byte) string {
	data = bytes.TrimRight(data, "\x00\n")
	if !utf8.Valid(data) || bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' }) {
		return ""
	}
	text := []rune(string(data))
	if len(text) > maxEventText {
		text = append(text[:maxEventText], '…')
	}
	return string(text)
}
