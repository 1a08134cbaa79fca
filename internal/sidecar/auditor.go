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

// Auditor writes a record of each release. Records contain names of keys, never keys.
type Auditor struct {
	Log      *audit.Log
	observer *observer
}

var _ server.Auditor = (*Auditor)(nil)

// OpenAudit returns the log of releases: audit_file or, if it is not set, the result of otherwise.
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

// Released records a release. If it returns an error, the key must not be released. A malformed request
// has no record, because it names no key.
func (a *Auditor) Released(ctx context.Context, request keyrelease.Request, key *hsm.Key, failed error) error {
	code := server.CodeOf(failed)
	if code == string(api.BadRequest) {
		return nil
	}
	a.observer.released(code, failed)
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

// Used records operations. If it returns an error, their results must not be returned. A malformed
// request has no record, because it names no key.
func (a *Auditor) Used(ctx context.Context, use server.Use, failed error) error {
	code := server.CodeOf(failed)
	a.observer.used(use, code)
	if use.Key == "" && code == string(api.BadRequest) {
		return nil
	}
	entry := audit.Entry{
		RequestID: journal.RequestID(ctx), Caller: access.From(ctx).String(),
		Key: use.Request.Key.String(), Authority: use.Request.Authority.String(), Result: code,
		Released: use.Key, PolicySHA256: use.PolicyHash, Budget: access.From(ctx).Limit(),
	}
	if failed == nil {
		entry.Result = audit.Used
	}
	return a.Log.AppendUse(entry, audit.Use{Operation: string(use.Operation), Items: use.Count, Failed: use.Failed})
}

// AuditedReleaser releases a key only after its record is written.
type AuditedReleaser struct {
	*keyrelease.Releaser

	Auditor *Auditor
}

// Release releases a key with this process as the caller.
func (r AuditedReleaser) Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error) {
	ctx, _ = journal.With(access.With(ctx, access.Self()), rand.Text())
	key, request, err := keyrelease.Anywhere(ctx, r.Releaser, request)
	if unrecorded := r.Auditor.Released(ctx, request, key, err); unrecorded != nil {
		key.Wipe()
		return nil, errors.Join(err, unrecorded)
	}
	return key, err
}

// closeAudit closes the log and logs the head of the chain. If the head is kept elsewhere, it proves
// later that no record up to it was changed or removed.
func closeAudit(records *audit.Log, log *slog.Logger) {
	if err := records.Close(); err != nil {
		log.Error("the last audit records may be lost", "error", err.Error())
	}
	log.Info("audit log closed", "head", records.Head())
}
