package vcek

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"skr/attest/snp"
)

// Source is one place that chains come from.
type Source interface {
	// Chain returns what the source has for a report, which need not be the right
	// chain: the caller verifies it. An error that wraps [ErrThrottled] or
	// [ErrUnavailable] is worth a later attempt.
	Chain(ctx context.Context, wanted Wanted) (*Chain, error)
	// String returns the name of the source for people, such as "THIM".
	String() string
}

// Wanted describes the certificate that a report needs.
type Wanted struct {
	// Chip may be zero in a report that a VLEK signed.
	Chip snp.ChipID
	// TCB is REPORTED_TCB. It has no product if the report does not name one.
	TCB snp.TCB
	// Signer is the kind of key; the zero value is VCEK.
	Signer snp.SigningKey
}

// WantedBy returns what report needs.
func WantedBy(report *snp.Report) Wanted {
	return Wanted{report.ChipID(), report.ReportedTCB(), report.SigningKey()}
}

var (
	_ Source = (*hostSource)(nil)
	_ Source = (*unusableSource)(nil)
	_ Source = (*thimSource)(nil)
	_ Source = (*azureCacheSource)(nil)
	_ Source = (*kdsSource)(nil)
)

// hostSource is a document that the host provides to the workload. It is for the TCB at
// the start. After a firmware update, other sources are needed.
type hostSource struct {
	parse func() (*Chain, error) // its error is an unusableError
}

// unusableError means that the source cannot have the chain. Another attempt does not help.
type unusableError struct{ cause error }

func (e *unusableError) Error() string { return e.cause.Error() }
func (e *unusableError) Unwrap() error { return e.cause }

func unusableDocument(cause error) error {
	return &unusableError{fmt.Errorf("the document cannot be used: %w", cause)}
}

// NewHostSource returns a source for the decoded document of host-amd-cert-base64 or a
// PEM chain. Chain parses it on first use, so that a malformed document is an error of
// this source only.
func NewHostSource(document []byte) (Source, error) {
	document = bytes.Clone(bytes.TrimSpace(document))
	if len(document) == 0 {
		return nil, errors.New("the host's certificate document is empty")
	}
	parse := ParsePEM
	if document[0] == '{' {
		parse = ParseTHIM
	}
	return &hostSource{sync.OnceValues(func() (*Chain, error) {
		chain, err := parse(document)
		if err != nil {
			return nil, unusableDocument(err)
		}
		return chain, nil
	})}, nil
}

// NewUnusableHostSource returns a source that always fails with cause. It stands for a
// document that could not be read.
func NewUnusableHostSource(cause error) Source {
	return &unusableSource{hostName, unusableDocument(cause)}
}

// unusableSource stands for a place that is configured and cannot be used.
type unusableSource struct {
	name  string
	cause error // an unusableError
}

// Chain implements [Source].
func (s *unusableSource) Chain(context.Context, Wanted) (*Chain, error) { return nil, s.cause }

// String implements [Source].
func (s *unusableSource) String() string { return s.name }

const hostName = "host document"

// Chain implements [Source].
func (s *hostSource) Chain(context.Context, Wanted) (*Chain, error) { return s.parse() }

// String implements [Source].
func (s *hostSource) String() string { return hostName }
