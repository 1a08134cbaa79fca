package main

import (
	"errors"
	"io"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sbom"
	"skr/internal/sidecar"
)

// openAuditor opens the auditor of a command that runs once. It writes to the same place as a
// sidecar with the same settings: audit_file, else the log, else standard error.
func openAuditor(s *config.Settings, stderr io.Writer) (*commandAuditor, error) {
	if s.AuditFile != "" {
		records, err := sidecar.OpenAudit(s, nil)
		return &commandAuditor{&sidecar.Auditor{Log: records}, func() {}}, err
	}
	log, err := cli.OpenLog(s, stderr)
	if err != nil {
		return nil, err
	}
	w := &commandAuditor{&sidecar.Auditor{Log: log.Audit(sbom.Version())}, log.Close}
	if err := w.Log.Err(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// commandAuditor is the auditor of a command together with the log that the command opened.
type commandAuditor struct {
	*sidecar.Auditor

	closeLog func()
}

func (w *commandAuditor) close() error {
	err := w.Log.Close()
	w.closeLog()
	return err
}
