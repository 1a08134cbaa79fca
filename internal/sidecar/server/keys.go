package server

import (
	"context"
	"slices"

	"google.golang.org/grpc/stats"

	"skr/api"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar/keyspb"
)

// keysRoutes maps the methods of [keyspb.KeysServer] to the routes of their HTTP form, so that
// one access rule is for both.
var keysRoutes = map[string]string{
	keyspb.Keys_Public_FullMethodName:  api.RoutePublic,
	keyspb.Keys_Encrypt_FullMethodName: api.RouteEncrypt,
	keyspb.Keys_Decrypt_FullMethodName: api.RouteDecrypt,
	keyspb.Keys_Wrap_FullMethodName:    api.RouteWrap,
	keyspb.Keys_Unwrap_FullMethodName:  api.RouteUnwrap,
	keyspb.Keys_Sign_FullMethodName:    api.RouteSign,
	keyspb.Keys_Verify_FullMethodName:  api.RouteVerify,
}

// keys answers the methods for keys that stay in the sidecar, as the routes of HTTP do.
type keys struct {
	keyspb.UnsafeKeysServer

	server *Server
}

// Public returns the public part of a key.
func (k keys) Public(ctx context.Context, in *keyspb.PublicRequest) (*keyspb.PublicResponse, error) {
	answer, err := k.server.public(ctx, api.PublicRequest{Alias: in.GetAlias(), Version: in.GetVersion()})
	return &keyspb.PublicResponse{Key: string(answer.Key)}, err
}

// Encrypt encrypts values.
func (k keys) Encrypt(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.Encrypt, in)
}

// Decrypt decrypts values.
func (k keys) Decrypt(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.Decrypt, in)
}

// Wrap wraps keys.
func (k keys) Wrap(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.WrapKey, in)
}

// Unwrap unwraps keys.
func (k keys) Unwrap(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.UnwrapKey, in)
}

// Sign signs digests.
func (k keys) Sign(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.Sign, in)
}

// Verify compares signatures with digests.
func (k keys) Verify(ctx context.Context, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	return k.operate(ctx, keyuse.Verify, in)
}

func (k keys) operate(ctx context.Context, op keyuse.Operation, in *keyspb.OperationRequest) (*keyspb.OperationResponse, error) {
	inputs, err := inputsOf(in)
	defer wipeInputs(inputs)
	if err != nil {
		return nil, err
	}
	kid, results, err := k.server.perform(ctx, op, task{in.GetAlias(), in.GetVersion(), inputs, in.GetInput() == nil})
	if err != nil {
		return nil, err
	}
	noteKey(ctx, kid)
	answer := &keyspb.OperationResponse{Kid: kid, Alg: in.GetAlg()}
	if in.GetInput() != nil {
		answer.Result = resultOf(results[0])
		return answer, nil
	}
	for _, one := range results {
		answer.Results = append(answer.Results, resultOf(one))
	}
	return answer, nil
}

// inputsOf returns the inputs of a batch, or the only one. They have the bytes of the message.
func inputsOf(in *keyspb.OperationRequest) (inputs []keyuse.Input, err error) {
	for _, one := range slices.Concat(in.GetBatch(), []*keyspb.OperationInput{in.GetInput()}) {
		if one != nil {
			inputs = append(inputs, keyuse.Input{
				Algorithm: in.GetAlg(), Value: present(one.GetValue()), Digest: present(one.GetDigest()),
				IV: present(one.GetIv()), Tag: present(one.GetTag()), AAD: present(one.GetAad()),
			})
		}
	}
	switch {
	case in.GetInput() != nil && len(in.GetBatch()) > 0:
		return inputs, refusal.Newf(refusal.BadRequest, "field %q has the inputs: leave %q out", "batch", "input")
	case len(inputs) == 0 || len(inputs) > maxBatch:
		return inputs, refusal.Newf(refusal.BadRequest, "set %q, or 1 to %d inputs as %q", "input", maxBatch, "batch")
	}
	return inputs, checkAlgorithm(in.GetAlg())
}

// present returns nil for an empty field, which counts as absent.
func present(field []byte) []byte {
	if len(field) == 0 {
		return nil
	}
	return field
}

func resultOf(r result) *keyspb.OperationResult {
	if r.err != nil {
		return &keyspb.OperationResult{Error: classify(r.err).text}
	}
	return &keyspb.OperationResult{Value: r.output.Value, Iv: r.output.IV, Tag: r.output.Tag, Valid: r.output.Valid}
}

// wiper overwrites the results of operations once gRPC has encoded them.
type wiper struct{}

var _ stats.Handler = wiper{}

// HandleRPC wipes an answer that was sent.
func (wiper) HandleRPC(_ context.Context, event stats.RPCStats) {
	sent, ok := event.(*stats.OutPayload)
	if !ok {
		return
	}
	if answer, ok := sent.Payload.(*keyspb.OperationResponse); ok {
		secmem.Wipe(answer.GetResult().GetValue())
		for _, one := range answer.GetResults() {
			secmem.Wipe(one.GetValue())
		}
	}
}

// TagRPC returns ctx.
func (wiper) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn returns ctx.
func (wiper) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (wiper) HandleConn(context.Context, stats.ConnStats) {}
