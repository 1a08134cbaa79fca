package verify

import "skr/internal/operator/inspect"

// Subject is what a rule or a verdict is about.
type Subject string

// The subjects.
const (
	Evidence  Subject = "evidence"
	Token     Subject = "token"
	Statement Subject = "statement"
	Boot      Subject = "measured boot"
)

// SubjectOf returns what an artefact is verified as, or "" if it holds nothing that can be
// verified. Evidence with a quote, values of PCRs or an event log is that of a measured boot.
func SubjectOf(a inspect.Artefact) Subject {
	if _, is := a.Statement(); is {
		return Statement
	}
	if _, is := a.Token(); is {
		return Token
	}
	if b := a.Boot(); b.Quote != nil || b.Signature != nil || b.PCRs != nil || b.Log != nil {
		return Boot
	}
	if _, is := a.Evidence(); is {
		return Evidence
	}
	return ""
}
