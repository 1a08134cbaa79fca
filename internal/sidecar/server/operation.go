package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/keyrelease"
)

// operation returns the answer function of an operation with a key that stays here.
func (s *Server) operation(op keyuse.Operation) func(context.Context, []byte) (body, error) {
	return postBody(func(ctx context.Context, r api.OperationRequest) (body, error) { return s.operate(ctx, op, r) })
}

func (s *Server) operate(ctx context.Context, op keyuse.Operation, r api.OperationRequest) (body, error) {
	inputs, err := parseInputs(r)
	if err != nil {
		return body{}, err
	}
	defer wipeInputs(inputs)
	kid, results, err := s.perform(ctx, op, task{r.Alias, r.Version, inputs, r.Batch != nil})
	if err != nil {
		return body{}, err
	}
	defer wipeResults(results)
	return body{plain: encodeResults(kid, op, r, results), key: kid}, nil
}

// task is an operation on one input, or on each input of a batch.
type task struct {
	alias, version string
	inputs         []keyuse.Input
	batch          bool
}

// perform returns no result that the auditor has not recorded. The caller wipes the results.
func (s *Server) perform(ctx context.Context, op keyuse.Operation, t task) (kid string, results []result, err error) {
	key, err := s.obtain(ctx, demand{ReleaseRequest: api.ReleaseRequest{Alias: t.alias, Version: t.version}, right: op})
	defer key.wipe()
	var took time.Duration
	if err == nil {
		begin := s.config.Now()
		results, err = s.results(ctx, key, op, t)
		took = s.config.Now().Sub(begin)
	}
	use := Use{
		Request: key.request, Operation: op, Count: len(t.inputs), Failed: failed(results),
		Key: key.id(), PolicyHash: key.policyHash(), Took: took,
	}
	if unrecorded := s.config.Auditor.Used(ctx, use, err); unrecorded != nil {
		err = errors.Join(err, unrecorded)
	}
	if err != nil {
		wipeResults(results)
		return "", nil, err
	}
	return key.id(), results, nil
}

// obtain returns a key for the server's own use, which the caller wipes, also if there is an error.
func (s *Server) obtain(ctx context.Context, d demand) (key obtained, err error) {
	if err := required("alias", d.Alias); err != nil {
		return key, err
	}
	if key.request, err = s.parseRelease(ctx, d); err != nil {
		return key, err
	}
	if s.config.Rights[d.Alias].InVault() {
		key.vault, err = journal.Do(ctx, journal.Operate, func() (VaultKey, error) { return s.config.VaultKeys.Key(ctx, key.request) })
		return key, err
	}
	key.released, key.request, err = keyrelease.Anywhere(ctx, s.config.Releases, key.request)
	journal.FellBack(ctx, key.request.Fallback())
	return key, err
}

// result is the outcome for one input. Its error is a refusal.
type result struct {
	output keyuse.Output
	err    error
}

// results returns an error if the only input has none, and if no further input can have one.
func (s *Server) results(ctx context.Context, key obtained, op keyuse.Operation, t task) (results []result, err error) {
	done := journal.Begin(ctx, journal.Operate)
	defer func() { done(err) }()
	opened, err := s.open(ctx, key, op)
	if err != nil {
		return nil, err
	}
	for _, in := range t.inputs {
		if ctx.Err() != nil {
			return results, refusal.Because(refusal.Timeout, "the operations of the batch take too long; send fewer", ctx.Err())
		}
		output, err := opened.do(ctx, op, in, s.config.Rights[t.alias].Limits)
		if err = keyuseRefusal(err); err != nil && endsBatch(err) {
			return results, err
		}
		results = append(results, result{output, err})
	}
	if !t.batch {
		err = results[0].err
	}
	return results, err
}

// endsBatch reports whether an error is not about the input: the vault fails, or refuses the key.
func endsBatch(err error) bool {
	return !errors.Is(err, refusal.BadRequest) && !errors.Is(err, keyuse.ErrOperation)
}

// keyuseRefusal returns the refusal for an error of an operation.
func keyuseRefusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyuse.ErrOperation):
		return refusal.Because(refusal.CallerNotAllowed, "the key_ops of the key do not list this operation; a key's operations are set in the vault", err)
	case errors.Is(err, keyuse.ErrAlgorithm):
		return refusal.Because(refusal.BadRequest, `member "alg" is no algorithm that this key has for this operation`, err)
	case errors.Is(err, keyuse.ErrInput):
		return refusal.Because(refusal.BadRequest, "a member has a length that does not fit the algorithm, or is missing or unused", err)
	case errors.Is(err, keyuse.ErrOpen):
		return refusal.Because(refusal.BadRequest,
			"the value does not open with this key; it was made for another key or version, or was altered", err)
	}
	return err
}

// failed counts the results that are errors.
func failed(results []result) (n int) {
	for _, r := range results {
		if r.err != nil {
			n++
		}
	}
	return n
}

// public returns the public part of a key that callers may use in any way.
func (s *Server) public(ctx context.Context, r api.PublicRequest) (api.PublicResponse, error) {
	written, err := s.publicKey(ctx, r.Alias, r.Version)
	if err != nil {
		return api.PublicResponse{}, err
	}
	text, err := json.Marshal(written)
	return api.PublicResponse{Key: text}, err
}

func (s *Server) publicKey(ctx context.Context, alias, version string) (jwk.Key, error) {
	key, err := s.obtain(ctx, demand{ReleaseRequest: api.ReleaseRequest{Alias: alias, Version: version}, right: public})
	defer key.wipe()
	if err != nil {
		return jwk.Key{}, err
	}
	opened, err := s.open(ctx, key, public)
	if err != nil {
		return jwk.Key{}, err
	}
	written, err := opened.public()
	if err != nil {
		return jwk.Key{}, refusal.Because(refusal.BadRequest, "the key has no public part", err)
	}
	return written, nil
}

// public is the right to the public part, which every alias permits.
const public keyuse.Operation = "public"
