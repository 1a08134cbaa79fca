// Package check is the one model of a check, and prints it.
//
// skr doctor, skr verify and skr policy check each make a list of checks. A [Result] says
// what one of them found; a [Report] prints the list as plain text, in colour, or as JSON:
//
//	results := []check.Result{
//		{Name: "clock", Outcome: check.OK, Found: "agrees with the service's"},
//		{Name: "key", Outcome: check.Failed, Found: "the vault has no such key", Fix: "create it"},
//	}
//	err := check.Report{Format: format, Results: results}.Write(os.Stdout, check.Plain)
//
// A [Format] names the members and words of one command's documents, which scripts rely on.
// The package makes no check and decides no exit code.
package check

import (
	"errors"

	"skr/internal/refusal"
)

// Outcome is how a check ended.
type Outcome int

// The outcomes. The zero value is none of them: a result says how its check ended.
const (
	OK Outcome = iota + 1
	// Note is nothing wrong, and something to know.
	Note
	// Warning is probably wrong, and stops nothing.
	Warning
	// Failed is wrong.
	Failed
	// Skipped is a check that was not made. Found says why.
	Skipped
)

// Result is what one check found.
type Result struct {
	// Name of the check. It is stable.
	Name string
	// Subject is the host, key or part that the check is about; "" for the whole.
	Subject string
	Outcome Outcome
	// Found is one sentence: what was found, or why the check was skipped. It holds no secret.
	Found string
	// Fix says what to do; "" if there is nothing to do.
	Fix string
	// Line and Column of the text that was checked. They count from 1; 0 is no place in it.
	Line, Column int
	// Err is the cause of a failure, nil if Found says it all. [errors.Is] with a kind of
	// package refusal tells who refused. Its text is for operators, not for callers.
	Err error
}

// RefusedBy returns the kind of refusal that caused the failure, or nil.
func (r Result) RefusedBy() *refusal.Kind {
	if refused, ok := errors.AsType[*refusal.Error](r.Err); ok {
		return refused.Kind
	}
	return nil
}

// FirstFailure returns the first result that failed, or nil.
func FirstFailure(results []Result) *Result {
	for i := range results {
		if results[i].Outcome == Failed {
			return &results[i]
		}
	}
	return nil
}

// Count returns how many results have the outcome.
func Count(results []Result, outcome Outcome) int {
	n := 0
	for _, r := range results {
		if r.Outcome == outcome {
			n++
		}
	}
	return n
}
