package main

import (
	"errors"
	"io"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sbom"
	"skr/internal/sidecar"
)

// openAuditor is for a command that asks once and ends. Its records go where those of
// a sidecar with the same settings go: audit_file, else the log, else standard error.
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

// commandAuditor is the auditor of a command, which also opened its log.
type commandAuditor struct {
	*sidecar.Auditor

	closeLog func()
}

func (w *commandAuditor) close() error {
	err := w.Log.Close()
	w.closeLog()
	return err
}
