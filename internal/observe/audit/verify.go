package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// maxLine limits a line of a log. A line of skr has a few hundred bytes, or a few thousand with a stack.
const maxLine = 64 << 10

// Report describes an intact file.
type Report struct {
	Records  int `json:"records"`
	Releases int `json:"released"`
	Refusals int `json:"refused"`
	// Withheld counts the refusals that have no record of their own.
	Withheld int `json:"withheld"`
	// Chains is 1 for a file, and the number of starts for a log.
	Chains int `json:"chains"`
	// Torn counts the places where a crash or a full disk left part of a record.
	Torn int `json:"torn"`
	// SetBack counts the records that are older than the previous one, because the clock was
	// set back. It is only informative.
	SetBack int       `json:"set_back"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	// Head is the hash of the last record.
	Head string `json:"head"`
	// Log is true if the records come from a log, where each start begins an independent
	// chain.
	Log bool `json:"-"`
}

// BrokenError is the error for records that are not intact.
type BrokenError struct {
	// Line counts from 1; 0 means all of them.
	Line int
	// Reason continues a sentence that begins with the line.
	Reason string
}

func (e *BrokenError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Verify checks all records of an audit file, or of a log in JSON with other lines. If kept is not empty,
// it is the hash of a record that must be present, which proves that no record up to it was removed. The
// error is a [BrokenError] if the records are not intact, or an error of r.
func Verify(r io.Reader, kept string) (Report, error) {
	v := verifier{chain: newChain(), kept: kept}
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			err := v.finish(line)
			return v.report, err
		case errors.Is(err, bufio.ErrBufferFull):
			return v.report, &BrokenError{v.line + 1, fmt.Sprintf("is longer than %d bytes", maxLine)}
		case err != nil:
			return v.report, err
		}
		if err := v.add(line[:len(line)-1]); err != nil {
			return v.report, err
		}
	}
}

type verifier struct {
	chain   chain
	report  Report
	line    int
	torn    int // line of the first torn line that no record describes yet
	isLog   bool
	kept    string
	hasKept bool // a record has the hash kept
}

// add checks one line, without its newline.
func (v *verifier) add(line []byte) error {
	v.line++
	if v.line == 1 {
		v.isLog = len(line) == 0 || !beginsLikeRecord(line)
		v.report.Log = v.isLog
	}
	if len(v.chain.torn) == 0 {
		v.torn = v.line
	}
	err := v.check(line)
	switch {
	case errors.Is(err, errFragment):
		return &BrokenError{v.torn, err.Error()}
	case err != nil:
		return &BrokenError{v.line, err.Error()}
	}
	return nil
}

func (v *verifier) check(line []byte) (err error) {
	if v.isLog {
		if line, err = v.within(line); line == nil {
			return err
		}
	}
	r, err := v.chain.follow(line)
	switch {
	case err != nil:
		return err
	case r != nil:
		v.report.count(r)
		v.hasKept = v.hasKept || r.Hash == v.kept
	case v.isLog: // a log has no torn records
		return errFragment
	}
	return nil
}

// logLine matches the lines with records that slog's JSON handler writes. They have only one form: the
// first value contains no quote, and decode checks the record.
var logLine = regexp.MustCompile(`^\{"time":"[^"\\]*","level":"INFO","msg":"audit","audit":(\{.*\})\}$`)

// within returns the record in a line of a log, or nil. Each start of skr begins a new chain.
func (v *verifier) within(line []byte) ([]byte, error) {
	if parts := logLine.FindSubmatch(line); parts != nil {
		if bytes.HasPrefix(parts[1], []byte(firstBytes+"1,")) {
			v.chain = newChain()
			v.report.Chains++
		}
		return parts[1], nil
	}
	if bytes.HasPrefix(line, []byte(firstBytes)) || bytes.Contains(line, []byte(`"msg":"audit"`)) {
		return nil, errors.New("has a record in a form that skr does not write")
	}
	return nil, nil
}

// finish checks the end. rest is the text after the last newline.
func (v *verifier) finish(rest []byte) error {
	if v.isLog && len(rest) > 0 {
		if err := v.add(rest); err != nil {
			return err
		}
	} else if len(rest) > 0 {
		return &BrokenError{v.line + 1, "is not complete, because of a crash, a full disk or a modification; skr repairs the first two when it opens the file again"}
	}
	switch {
	case len(v.chain.torn) > 0:
		return &BrokenError{v.torn, errFragment.Error()}
	case v.report.Records == 0:
		return &BrokenError{0, "has no audit record"}
	case v.kept != "" && !v.hasKept:
		return &BrokenError{0, "has no record with the expected hash: its last records were removed, or it was rewritten, or it is another file"}
	}
	v.report.Chains = max(v.report.Chains, 1)
	return nil
}

func (p *Report) count(r *Record) {
	at := r.at()
	p.Records++
	switch {
	case r.Kind == kindRecovered:
		p.Torn++
	case r.Kind == kindRelease && r.Result == Released:
		p.Releases++
	case r.Kind == kindRelease:
		p.Refusals++
	case r.Kind == kindWithheld:
		p.Withheld += r.Count
	}
	if p.First.IsZero() {
		p.First = at
	} else if at.Before(p.Last) {
		p.SetBack++
	}
	p.Last, p.Head = at, r.Hash
}
