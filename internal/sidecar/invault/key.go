package invault

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/keyrelease"
)

// Key is one version of a key in its vault. It is safe for concurrent use.
type Key struct {
	keys    *Keys
	request keyrelease.Request // with the version
	public  jwk.Key
	checks  keyuse.Elsewhere
}

// ID returns the identifier of the key with its version.
func (k *Key) ID() string { return k.request.Key.String() }

// Public returns the public part as a JWK with the names of RFC 7518, the identifier as kid
// and the key_ops. It returns an error for a symmetric key.
func (k *Key) Public() (jwk.Key, error) {
	if k.checks.Public == nil {
		return jwk.Key{}, errors.New("a symmetric key has no public part")
	}
	written, err := jwk.FromPublic(k.checks.Public)
	written.Kid, written.KeyOps = k.public.Kid, k.public.KeyOps
	return written.Registered(), err
}

// Do lets the vault perform an operation. It returns only a result that fits the key and the
// input. It refuses as [Keys.Key] does, with [refusal.BadRequest] for a value that does not
// open, and with the errors of [keyuse.Key.Do].
func (k *Key) Do(ctx context.Context, op keyuse.Operation, in keyuse.Input) (keyuse.Output, error) {
	if !allows(k.public, op) {
		return keyuse.Output{}, keyuse.ErrOperation
	}
	if err := k.checks.Check(op, in); err != nil {
		return keyuse.Output{}, err
	}
	vault, access, err := k.keys.connect(ctx, k.request)
	if err != nil {
		return keyuse.Output{}, err
	}
	got, err := k.ask(ctx, vault, op, in)
	if err != nil {
		return keyuse.Output{}, refused(k.request.Key, operating(op), access, err)
	}
	if err := k.check(op, in, got); err != nil {
		secmem.Wipe(got.output.Value)
		return keyuse.Output{}, refusal.Because(refusal.Untrusted,
			"the vault's answer is no result of this operation with this key; check which server answers there", err)
	}
	if op == keyuse.Encrypt && got.output.IV == nil {
		got.output.IV = in.IV // of AES-CBC, which Key Vault may leave out
	}
	return got.output, nil
}

// result is what a vault answered.
type result struct {
	kid    *azkeys.ID // a verdict of Key Vault has none
	output keyuse.Output
}

// ask sends the operation. It returns the errors of the SDK.
func (k *Key) ask(ctx context.Context, vault *azkeys.Client, op keyuse.Operation, in keyuse.Input) (result, error) {
	name, version := k.request.Key.Name(), k.request.Key.Version()
	algorithm := azkeys.EncryptionAlgorithm(in.Algorithm)
	parameters := azkeys.KeyOperationParameters{
		Algorithm: &algorithm, Value: in.Value, IV: in.IV, AuthenticationTag: in.Tag, AdditionalAuthenticatedData: in.AAD,
	}
	switch op {
	case keyuse.Encrypt:
		answer, err := vault.Encrypt(ctx, name, version, parameters, nil)
		return sealed(answer.KeyOperationResult), err
	case keyuse.Decrypt:
		answer, err := vault.Decrypt(ctx, name, version, parameters, nil)
		return opened(answer.KeyOperationResult), err
	case keyuse.WrapKey:
		answer, err := vault.WrapKey(ctx, name, version, parameters, nil)
		return opened(answer.KeyOperationResult), err
	case keyuse.UnwrapKey:
		answer, err := vault.UnwrapKey(ctx, name, version, parameters, nil)
		return opened(answer.KeyOperationResult), err
	case keyuse.Sign:
		signing := azkeys.SignatureAlgorithm(in.Algorithm)
		answer, err := vault.Sign(ctx, name, version, azkeys.SignParameters{Algorithm: &signing, Value: in.Value}, nil)
		return opened(answer.KeyOperationResult), err
	}
	return k.verify(ctx, vault, in)
}

func (k *Key) verify(ctx context.Context, vault *azkeys.Client, in keyuse.Input) (result, error) {
	algorithm := azkeys.SignatureAlgorithm(in.Algorithm)
	answer, err := vault.Verify(ctx, k.request.Key.Name(), k.request.Key.Version(),
		azkeys.VerifyParameters{Algorithm: &algorithm, Digest: in.Digest, Signature: in.Value}, nil)
	if err == nil && answer.Value == nil {
		err = errors.New("member value is missing")
	}
	id := azkeys.ID(k.ID())
	return result{kid: &id, output: keyuse.Output{Valid: answer.Value != nil && *answer.Value}}, err
}

func opened(answer azkeys.KeyOperationResult) result {
	return result{answer.KID, keyuse.Output{Value: answer.Result}}
}

func sealed(answer azkeys.KeyOperationResult) result {
	return result{answer.KID, keyuse.Output{Value: answer.Result, IV: answer.IV, Tag: answer.AuthenticationTag}}
}

// check returns an error unless the answer is of this version of the key and fits the input.
func (k *Key) check(op keyuse.Operation, in keyuse.Input, got result) error {
	if got.kid == nil {
		return errors.New("member kid is missing")
	}
	id, err := k.request.Key.Vault().Key(string(*got.kid))
	if err != nil {
		return fmt.Errorf("reading member kid: %w", err)
	}
	if !k.request.Key.Covers(id) {
		return fmt.Errorf("it is of %q", id)
	}
	if !k.checks.Accepts(op, in, got.output) {
		return errors.New("its value cannot be the result")
	}
	return nil
}
