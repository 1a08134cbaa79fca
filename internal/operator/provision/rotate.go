package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// Rotate has the vault make a new version of a key that was read in its newest version, and reads it
// back. The new version has other material of the same kind, and the release policy stays. If the
// vault made something else, the error is [refusal.Untrusted], and the version exists. Its other
// errors are those of [Vault.Make].
//
// UNCONFIRMED: that the services keep the release policy; no public recording rotates such a key.
// Rotate compares it.
func (v *Vault) Rotate(ctx context.Context, before *Key) (*Key, error) {
	answer, err := v.writer.RotateKey(ctx, before.ID.Name(), nil)
	if err != nil {
		return nil, v.refused(action{rotating, before.ID.Name(), ""}, err)
	}
	made, err := readKey(v.vault, answer.KeyBundle)
	if err != nil {
		return nil, unusable(err)
	}
	stored, err := v.Read(ctx, made.ID)
	if err != nil {
		return nil, fmt.Errorf("the version %q was made; reading it back: %w", made.ID, err)
	}
	if err := compareRotated(before, stored); err != nil {
		return nil, refusal.Because(refusal.Untrusted, fmt.Sprintf(
			"the vault made the version %q, but not like the one before; disable it with skrctl key disable", stored.ID), err)
	}
	return stored, nil
}

// PreviewRotation returns the request of [Vault.Rotate], without sending it. "" means the preset API
// version.
func PreviewRotation(id hsm.KeyID, apiVersion string) (Preview, error) {
	seen, err := record(id.Vault(), apiVersion, func(ctx context.Context, client *azkeys.Client) (azkeys.KeyBundle, error) {
		answer, err := client.RotateKey(ctx, id.Name(), nil)
		return answer.KeyBundle, err
	})
	if err != nil {
		return Preview{}, err
	}
	return Preview{Method: seen.method, URL: seen.url, Body: []byte("null")}, nil
}

// compareRotated returns the first difference that a rotation must not make.
func compareRotated(before, after *Key) error {
	switch {
	case after.ID.Name() != before.ID.Name() || after.ID == before.ID:
		return fmt.Errorf("it is %q", after.ID)
	case after.Public.Kty != before.Public.Kty || after.Public.Crv != before.Public.Crv || after.Size() != before.Size():
		return errors.New("its type or size differs")
	case !sameSet(after.Operations, before.Operations):
		return fmt.Errorf("its operations are %q", after.Operations)
	case !after.Enabled:
		return errors.New("it is disabled")
	case after.Exportable != before.Exportable || after.Immutable != before.Immutable:
		return fmt.Errorf("exportable is %t, and immutable is %t", after.Exportable, after.Immutable)
	}
	if err := otherMaterial(before, after); err != nil {
		return err
	}
	if bytes.Equal(before.Policy, after.Policy) {
		return nil
	}
	policy, err := releasepolicy.Parse(before.Policy)
	if err != nil {
		return errors.New("its release policy differs")
	}
	return SamePolicy(after, policy)
}

func otherMaterial(before, after *Key) error {
	if before.Public.Type() == "oct" {
		return nil
	}
	first, err := before.Public.Thumbprint()
	if err != nil {
		return err
	}
	second, err := after.Public.Thumbprint()
	if err == nil && first == second {
		err = errors.New("it has the same public key")
	}
	return err
}

// Successor returns the Spec of a version with another release policy, of the same kind as a key. A
// vault does not return the size of a symmetric key, so it has no successor.
func Successor(before *Key, name hsm.KeyID, policy *releasepolicy.Policy) (Spec, error) {
	if before.Public.Type() == "oct" {
		return Spec{}, errors.New("the vault does not tell the size of a symmetric key; use skrctl key create --new-version with --kty oct-HSM and --size")
	}
	return Spec{
		ID: name, Type: before.Public.Kty, Size: before.Size(), Curve: before.Public.Crv, Operations: before.Operations,
		Policy: policy, Tags: before.Tags,
	}, nil
}
