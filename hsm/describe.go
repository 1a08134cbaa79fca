package hsm

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

// Description is what a vault returns for a key to an identity that may read it. It is not
// signed: it explains refusals, and no release depends on it.
type Description struct {
	// ID is the key identifier with the version that was read.
	ID string
	// Type is the type in the vault's notation, such as "RSA-HSM".
	Type string
	// Enabled and Exportable must both be so for a release.
	Enabled, Exportable bool
	// Validity does not limit when the key can be released.
	Validity
	// Immutable reports whether the release policy can no longer be changed.
	Immutable bool
	// Policy is the release policy; nil if the key has none.
	Policy *releasepolicy.Policy
}

// Obstacle returns in a few words what prevents the release of the key for any attestation,
// or "".
func (d *Description) Obstacle() string {
	switch {
	case !d.Enabled:
		return "the key is disabled"
	case !d.Exportable:
		return "the key is not exportable, which was decided when it was created"
	case d.Policy == nil:
		return "the key has no release policy"
	}
	return ""
}

// ErrUnreadable means that the vault knows the identity, which may not read the key.
var ErrUnreadable = errors.New("the key may not be read")

// Describe reads a key without its private part. Its errors are those of [Client.Release],
// and [ErrUnreadable].
func (c *Client) Describe(ctx context.Context, id KeyID, access secmem.Text) (*Description, error) {
	vault, err := c.connect(id, access)
	if err != nil {
		return nil, err
	}
	answer, err := vault.GetKey(ctx, id.name, id.version, nil)
	if err != nil {
		return nil, unread(id, access, err)
	}
	d, err := describe(id, answer.KeyBundle)
	if err != nil {
		return nil, untrusted("the vault's description of the key cannot be used", err)
	}
	return d, nil
}

// unread returns the refusal for an error of the SDK. Only a missing permission differs
// from a release.
func unread(id KeyID, access secmem.Text, err error) error {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.StatusCode != http.StatusForbidden {
		return refusedBy(id, Grant{Access: access}, err)
	}
	return refusal.Because(refusal.ReleaseRejected, "this identity may not read the key: that needs the permission keys/get, "+
		"which the roles Key Vault Crypto User and Managed HSM Crypto User hold",
		fmt.Errorf("%w: %w", ErrUnreadable, parseVaultError(answer).without(Grant{Access: access})))
}

func describe(id KeyID, bundle azkeys.KeyBundle) (*Description, error) {
	if bundle.Key == nil || bundle.Key.KID == nil || bundle.Attributes == nil {
		return nil, errors.New("it lacks the key or its attributes")
	}
	at, err := parseLocation(string(*bundle.Key.KID))
	if err != nil {
		return nil, err
	}
	if !id.covers(at) {
		return nil, fmt.Errorf("it is of %q", at)
	}
	attributes := bundle.Attributes
	d := &Description{
		ID: at.String(), Type: string(value(bundle.Key.Kty)),
		Enabled: value(attributes.Enabled), Exportable: value(attributes.Exportable),
		Validity: Validity{value(attributes.NotBefore), value(attributes.Expires)},
	}
	if policy := bundle.ReleasePolicy; policy != nil && len(policy.EncodedPolicy) > 0 {
		d.Immutable = value(policy.Immutable)
		d.Policy, err = releasepolicy.Parse(policy.EncodedPolicy)
	}
	return d, err
}

// value returns what p points to, or the zero value for nil: an absent member has the zero
// value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
