package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"skr/api"
	"skr/hsm"
	"skr/internal/observe/audit"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

// witness writes a record of each release. It knows keys by their names alone.
type witness struct {
	log  *audit.Log
	told *observer
}

var _ server.Auditor = (*witness)(nil)

// openAudit returns the log of the releases: audit_file or, without one, what
// otherwise makes.
func openAudit(s *settings, otherwise func(version string) *audit.Log) (*audit.Log, error) {
	if s.AuditFile == "" {
		return otherwise(version()), nil
	}
	records, err := audit.Open(s.AuditFile, version())
	if err != nil {
		return nil, &settingError{fmt.Errorf("audit_file: %w", err)}
	}
	return records, nil
}

// Released keeps a key back of which no record could be written. A request that
// could not be understood asked for no key.
func (w *witness) Released(ctx context.Context, request keyrelease.Request, key *hsm.Key, failed error) error {
	code := server.CodeOf(failed)
	if code == string(api.BadRequest) {
		return nil
	}
	w.told.released(code, failed)
	entry := audit.Entry{
		RequestID: journal.RequestID(ctx), Caller: access.From(ctx).String(),
		Key: request.Key.String(), Authority: request.Authority.String(), Result: code,
		Budget: access.From(ctx).Limit(),
	}
	if key != nil {
		entry.Released, entry.PolicySHA256, entry.Result = key.ID(), key.PolicyHash(), audit.Released
	}
	return w.log.Append(entry)
}

// witnessed releases no key of which no record could be written.
type witnessed struct {
	*keyrelease.Releaser

	witness *witness
}

// Release asks in the name of this process, not of a caller.
func (w witnessed) Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error) {
	ctx, _ = journal.With(access.With(ctx, access.Self()), rand.Text())
	key, request, err := keyrelease.Anywhere(ctx, w.Releaser, request)
	if unseen := w.witness.Released(ctx, request, key, err); unseen != nil {
		key.Wipe()
		return nil, errors.Join(err, unseen)
	}
	return key, err
}

// openWitness is for a command that asks once and ends. Its records go where those of
// a sidecar with the same settings go: audit_file, else the log, else standard error.
func openWitness(s *settings, stderr io.Writer) (*commandWitness, error) {
	if s.AuditFile != "" {
		records, err := openAudit(s, nil)
		return &commandWitness{&witness{log: records}, func() {}}, err
	}
	log, err := openLog(s, stderr)
	if err != nil {
		return nil, err
	}
	w := &commandWitness{&witness{log: log.audit(version())}, log.close}
	if err := w.log.Err(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// commandWitness is the witness of a command, which also opened its log.
type commandWitness struct {
	*witness

	closeLog func()
}

func (w *commandWitness) close() error {
	err := w.log.Close()
	w.closeLog()
	return err
}

// closeAudit tells where the chain ends: kept elsewhere, the head shows later
// that nothing up to it was changed or cut off.
func closeAudit(records *audit.Log, log *slog.Logger) {
	if err := records.Close(); err != nil {
		log.Error("the audit log may have lost its end", "error", err.Error())
	}
	log.Info("audit log closed", "head", records.Head())
}
