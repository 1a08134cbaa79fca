package sidecar

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"skr/api"
	"skr/hsm"
	"skr/internal/config"
	"skr/internal/observe/audit"
	"skr/internal/observe/journal"
	"skr/internal/sbom"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

// Auditor writes a record of each release. It knows keys by their names alone.
type Auditor struct {
	Log  *audit.Log
	told *observer
}

var _ server.Auditor = (*Auditor)(nil)

// OpenAudit returns the log of the releases: audit_file or, without one, what
// otherwise makes.
func OpenAudit(s *config.Settings, otherwise func(version string) *audit.Log) (*audit.Log, error) {
	if s.AuditFile == "" {
		return otherwise(sbom.Version()), nil
	}
	records, err := audit.Open(s.AuditFile, sbom.Version())
	if err != nil {
		return nil, config.WrongSetting(fmt.Errorf("audit_file: %w", err))
	}
	return records, nil
}

// Released keeps a key back of which no record could be written. A request that
// could not be understood asked for no key.
func (a *Auditor) Released(ctx context.Context, request keyrelease.Request, key *hsm.Key, failed error) error {
	code := server.CodeOf(failed)
	if code == string(api.BadRequest) {
		return nil
	}
	a.told.released(code, failed)
	entry := audit.Entry{
		RequestID: journal.RequestID(ctx), Caller: access.From(ctx).String(),
		Key: request.Key.String(), Authority: request.Authority.String(), Result: code,
		Budget: access.From(ctx).Limit(),
	}
	if key != nil {
		entry.Released, entry.PolicySHA256, entry.Result = key.ID(), key.PolicyHash(), audit.Released
	}
	return a.Log.Append(entry)
}

// AuditedReleaser releases no key of which no record could be written.
type AuditedReleaser struct {
	*keyrelease.Releaser

	Auditor *Auditor
}

// Release asks in the name of this process, not of a caller.
func (r AuditedReleaser) Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error) {
	ctx, _ = journal.With(access.With(ctx, access.Self()), rand.Text())
	key, request, err := keyrelease.Anywhere(ctx, r.Releaser, request)
	if unseen := r.Auditor.Released(ctx, request, key, err); unseen != nil {
		key.Wipe()
		return nil, errors.Join(err, unseen)
	}
	return key, err
}

// closeAudit tells where the chain ends: kept elsewhere, the head shows later
// that nothing up to it was changed or cut off.
func closeAudit(records *audit.Log, log *slog.Logger) {
	if err := records.Close(); err != nil {
		log.Error("the audit log may have lost its end", "error", err.Error())
	}
	log.Info("audit log closed", "head", records.Head())
}
