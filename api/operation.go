package api

import (
	"encoding/json"
	"log/slog"
)

// OperationRequest requests an operation with a key that stays in the sidecar: one on the
// members of [OperationInput], or one on each input of the batch.
type OperationRequest struct {
	// Alias names the key in the sidecar's configuration.
	Alias string `json:"alias"`
	// Version is the version of the key, as in [ReleaseRequest].
	Version string `json:"version,omitempty"`
	// Alg is an algorithm of Key Vault, such as "RSA-OAEP-256" or "ES256".
	Alg string `json:"alg"`

	OperationInput

	// Batch has at most 100 inputs, and replaces the other members.
	Batch []OperationInput `json:"batch,omitempty"`
}

// OperationInput is what an operation works on. The members are base64url without padding.
type OperationInput struct {
	// Value is the text to encrypt or decrypt, the key to wrap or unwrap, the digest to
	// sign, or the signature to verify.
	Value Secret `json:"value,omitempty"`
	// Digest is what the signature is compared with.
	Digest Secret `json:"digest,omitempty"`
	// IV has 16 bytes for AES-CBC. For AES-GCM it is that of the encryption.
	IV Secret `json:"iv,omitempty"`
	// Tag is that of the encryption with AES-GCM.
	Tag Secret `json:"tag,omitempty"`
	// AAD is what AES-GCM authenticates and does not encrypt.
	AAD Secret `json:"aad,omitempty"`
}

// OperationResponse answers an operation. Of a batch, it has the results in the order of the
// inputs.
type OperationResponse struct {
	// KID is the identifier of the key with its version.
	KID string `json:"kid"`
	// Alg is the algorithm of the request.
	Alg string `json:"alg"`

	OperationResult

	Results []OperationResult `json:"results,omitempty"`
}

// OperationResult is the result of one operation. Value, IV and Tag are base64url without
// padding; the value of a verification is true or false.
type OperationResult struct {
	Value json.RawMessage `json:"value,omitempty"`
	IV    string          `json:"iv,omitempty"`
	Tag   string          `json:"tag,omitempty"`
	// Error is why this input of a batch has no result; the others have theirs.
	Error string `json:"error,omitempty"`
}

// PublicRequest requests the public part of a key.
type PublicRequest struct {
	// Alias names the key in the sidecar's configuration.
	Alias string `json:"alias"`
	// Version is the version of the key, as in [ReleaseRequest].
	Version string `json:"version,omitempty"`
}

// PublicResponse answers POST /key/public.
type PublicResponse struct {
	// Key is the JWK (RFC 7517) of the public part, with the identifier as kid.
	Key json.RawMessage `json:"key"`
}

// Wipe overwrites the inputs with zeros.
func (r OperationRequest) Wipe() {
	r.OperationInput.Wipe()
	for _, in := range r.Batch {
		in.Wipe()
	}
}

// Wipe overwrites the members with zeros.
func (in OperationInput) Wipe() {
	for _, member := range []Secret{in.Value, in.Digest, in.IV, in.Tag, in.AAD} {
		member.Wipe()
	}
}

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r OperationRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("alias", r.Alias), slog.String("version", r.Version), slog.String("alg", r.Alg), slog.Int("batch", len(r.Batch)))
}

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r OperationResponse) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kid", r.KID), slog.String("alg", r.Alg), slog.Int("results", len(r.Results)))
}
