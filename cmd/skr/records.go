package main

import (
	"errors"
	"io"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sbom"
	"skr/internal/sidecar"
)

// openWitness is for a command that asks once and ends. Its records go where those of
// a sidecar with the same settings go: audit_file, else the log, else standard error.
func openWitness(s *config.Settings, stderr io.Writer) (*commandWitness, error) {
	if s.AuditFile != "" {
		records, err := sidecar.OpenAudit(s, nil)
		return &commandWitness{&sidecar.Witness{Log: records}, func() {}}, err
	}
	log, err := cli.OpenLog(s, stderr)
	if err != nil {
		return nil, err
	}
	w := &commandWitness{&sidecar.Witness{Log: log.Audit(sbom.Version())}, log.Close}
	if err := w.Log.Err(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// commandWitness is the witness of a command, which also opened its log.
type commandWitness struct {
	*sidecar.Witness

	closeLog func()
}

func (w *commandWitness) close() error {
	err := w.Log.Close()
	w.closeLog()
	return err
}
