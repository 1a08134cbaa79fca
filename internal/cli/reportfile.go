package cli

import (
	"encoding/json"
	"fmt"
)

// ReportFile is the file of --report, which may be left out.
type ReportFile struct{ pending *PendingFile }

// NewReportFile creates the file, so that a wrong path shows before the first request. Without a
// path, the methods do nothing.
func NewReportFile(path string) (ReportFile, error) {
	if path == "" {
		return ReportFile{}, nil
	}
	pending, err := NewPendingFile(path, PublicMode)
	if err != nil {
		return ReportFile{}, fmt.Errorf("--report: %w", err)
	}
	return ReportFile{pending}, nil
}

// Write writes the report as JSON. Call it once.
func (f ReportFile) Write(report any) error {
	if f.pending == nil {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := f.pending.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.pending.Commit()
}

// Discard removes a file that was not written.
func (f ReportFile) Discard() {
	if f.pending != nil {
		f.pending.Discard()
	}
}
