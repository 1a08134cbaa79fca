package server

import (
	"context"
	"encoding/json"
	"errors"

	"skr/api"
	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/keyrelease"
)

// operation returns the answer function of an operation with a key that stays here.
func (s *Server) operation(op keyuse.Operation) func(context.Context, []byte) (body, error) {
	return postBody(func(ctx context.Context, r api.OperationRequest) (body, error) { return s.operate(ctx, op, r) })
}

// operate returns no result that the auditor has not recorded.
func (s *Server) operate(ctx context.Context, op keyuse.Operation, r api.OperationRequest) (body, error) {
	inputs, err := parseInputs(r)
	if err != nil {
		return body{}, err
	}
	defer wipeInputs(inputs)
	use := Use{Operation: op, Count: len(inputs)}
	key, request, err := s.obtain(ctx, demand{ReleaseRequest: api.ReleaseRequest{Alias: r.Alias, Version: r.Version}, right: op})
	use.Request = request
	defer key.Wipe()
	var results []result
	if err == nil {
		results, err = s.results(ctx, key, op, inputs, s.config.Rights[r.Alias].Limits)
	}
	defer wipeResults(results)
	if err == nil && r.Batch == nil && results[0].err != nil {
		err = results[0].err
	}
	use.Failed = failed(results)
	if unrecorded := s.config.Auditor.Used(ctx, use, key, err); unrecorded != nil {
		return body{}, errors.Join(err, unrecorded)
	}
	if err != nil {
		return body{}, err
	}
	return body{plain: encodeResults(key.ID(), op, r, results), key: key.ID()}, nil
}

// obtain returns a key for the server's own use.
func (s *Server) obtain(ctx context.Context, d demand) (*hsm.Key, keyrelease.Request, error) {
	if err := required("alias", d.Alias); err != nil {
		return nil, keyrelease.Request{}, err
	}
	request, err := s.parseRelease(ctx, d)
	if err != nil {
		return nil, request, err
	}
	key, request, err := keyrelease.Anywhere(ctx, s.config.Releases, request)
	journal.FellBack(ctx, request.Fallback())
	s.saw(d, key)
	return key, request, err
}

// result is the outcome for one input. Its error is a refusal.
type result struct {
	output keyuse.Output
	err    error
}

func (s *Server) results(
	ctx context.Context, key *hsm.Key, op keyuse.Operation, inputs []keyuse.Input, limits keyuse.Limits,
) (results []result, err error) {
	defer journal.Begin(ctx, journal.Operate)(nil)
	if lapse := key.Validity().Lapse(s.config.Now()); lapse != "" && op.NeedsValidity() {
		return nil, refusal.Newf(refusal.CallerNotAllowed, "the key %s; rotate it with `skrctl key rotate`", lapse)
	}
	opened, err := s.openers.of(ctx, key)
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest, "the key has no operations: its type is none of RSA, EC and oct", err)
	}
	for _, in := range inputs {
		if ctx.Err() != nil {
			return results, refusal.Because(refusal.Timeout, "the operations of the batch take too long; send fewer", ctx.Err())
		}
		output, err := opened.Do(op, in, limits)
		results = append(results, result{output, keyuseRefusal(err)})
	}
	return results, nil
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
	key, _, err := s.obtain(ctx, demand{ReleaseRequest: api.ReleaseRequest{Alias: r.Alias, Version: r.Version}, right: public})
	if err != nil {
		return api.PublicResponse{}, err
	}
	defer key.Wipe()
	opened, err := s.openers.of(ctx, key)
	if err != nil {
		return api.PublicResponse{}, refusal.Because(refusal.BadRequest, "the key has no public part", err)
	}
	written, err := opened.Public()
	if err != nil {
		return api.PublicResponse{}, refusal.Because(refusal.BadRequest, "the key has no public part", err)
	}
	text, err := json.Marshal(written)
	return api.PublicResponse{Key: text}, err
}

// public is the right to the public part, which every alias permits.
const public keyuse.Operation = "public"
