package vcek

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"skr/attest/snp"
)

// Source is one place that chains come from.
type Source interface {
	// Chain returns what the source has for the chip and its REPORTED_TCB,
	// which need not be the right chain: the caller verifies it. An error that
	// wraps [ErrThrottled] or [ErrUnavailable] is worth a later attempt.
	Chain(ctx context.Context, chip snp.ChipID, tcb snp.TCB) (*Chain, error)
	// String returns the name of the source for people, such as "THIM".
	String() string
}

var (
	_ Source = (*hostSource)(nil)
	_ Source = (*thimSource)(nil)
	_ Source = (*azureCacheSource)(nil)
	_ Source = (*kdsSource)(nil)
)

// hostSource is a document that the host provides to the workload. It is for the TCB at
// the start. After a firmware update, other sources are needed.
type hostSource struct {
	parse func() (*Chain, error) // its error is an unusableError
}

// unusableError means that the document cannot be used. It does not change at run time.
type unusableError struct{ cause error }

func (e *unusableError) Error() string { return "the document cannot be used: " + e.cause.Error() }
func (e *unusableError) Unwrap() error { return e.cause }

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
			return nil, &unusableError{err}
		}
		return chain, nil
	})}, nil
}

// NewUnusableHostSource returns a source that always fails with cause. It stands for a
// document that could not be read.
func NewUnusableHostSource(cause error) Source {
	return &hostSource{func() (*Chain, error) { return nil, &unusableError{cause} }}
}

// Chain implements [Source].
func (s *hostSource) Chain(context.Context, snp.ChipID, snp.TCB) (*Chain, error) { return s.parse() }

// String implements [Source].
func (s *hostSource) String() string { return "host document" }
