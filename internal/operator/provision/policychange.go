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

// PolicyChange is a new release policy for a key, and the key as it was when the change was made.
type PolicyChange struct {
	seen   *Key
	policy *releasepolicy.Policy
}

// NewPolicyChange returns the change of a key that was read in its newest version. It returns
// [refusal.ManagementRejected] if the vault can never accept it: the policy is immutable, or the
// key has none.
func NewPolicyChange(seen *Key, policy *releasepolicy.Policy) (*PolicyChange, error) {
	switch {
	case seen.Immutable:
		return nil, refusal.Newf(refusal.ManagementRejected,
			"the release policy of %q is immutable, so neither this version nor a later one can have another; create a key with "+
				"another name and deploy pods that name it, or admit new containers with signed fragments, which leave the measurement as it is", seen.ID)
	case len(seen.Policy) == 0:
		return nil, refusal.Newf(refusal.ManagementRejected,
			"the key %q has no release policy, and one cannot be added later; create a key with another name", seen.ID)
	}
	return &PolicyChange{seen, policy}, nil
}

// Policy returns the policy that will be stored.
func (c *PolicyChange) Policy() *releasepolicy.Policy { return c.policy }

// newest returns the key without a version: a policy belongs to the name.
func (c *PolicyChange) newest() (hsm.KeyID, error) {
	return c.seen.ID.Vault().Key(c.seen.ID.Host().URL() + "/keys/" + c.seen.ID.Name())
}

// send makes one request without a version, as Azure REST API specification, Key Vault 7.4,
// UpdateKey. It changes nothing but the policy.
func (c *PolicyChange) send(ctx context.Context, client *azkeys.Client) (azkeys.KeyBundle, error) {
	answer, err := client.UpdateKey(ctx, c.seen.ID.Name(), "", azkeys.UpdateKeyParameters{ReleasePolicy: &azkeys.KeyReleasePolicy{
		ContentType: new(policyType), EncodedPolicy: c.policy.Raw(), Immutable: new(false),
	}}, nil)
	return answer.KeyBundle, err
}

// Preview returns what would be sent, without sending it. "" means the preset API version.
func (c *PolicyChange) Preview(apiVersion string) (Preview, error) {
	seen, err := record(c.seen.ID.Vault(), apiVersion, c.send)
	if err != nil {
		return Preview{}, err
	}
	return Preview{seen.method, seen.url, seen.body}, nil
}

// Change reads the key again, writes the policy, and reads it back. If the key is not as it was
// when the change was made, Change writes nothing and returns [refusal.ManagementRejected]. If
// the vault stored something else, the error is [refusal.Untrusted]. Its other errors are those
// of [Vault.Make]. Repeating a change that was made is harmless.
//
// The vaults have no conditional write: a change that another operator makes between the second
// read and the write is replaced. Change therefore reads the key once more, after a pause in which
// such a program has written too: the one whose policy was replaced gets an error.
func (v *Vault) Change(ctx context.Context, c *PolicyChange) (*Key, error) {
	id, err := c.newest()
	if err != nil {
		return nil, err
	}
	if err := v.unchanged(ctx, id, c.seen); err != nil {
		return nil, err
	}
	_, sent := c.send(ctx, v.writer)
	if sent != nil {
		sent = v.refused(action{updating, id.Name(), ""}, sent)
		if !errors.Is(sent, refusal.Unavailable) && !errors.Is(sent, refusal.Timeout) {
			return nil, sent
		}
	}
	stored, err := v.Read(ctx, id)
	switch {
	case err != nil && sent != nil:
		return nil, fmt.Errorf("whether the policy of %q was changed is unknown; run the command again: %w", id, sent)
	case err != nil:
		return nil, fmt.Errorf("the policy of %q was changed; reading it back: %w", id, err)
	}
	err = c.compare(stored)
	switch {
	case err != nil && sent != nil:
		return nil, sent
	case err != nil:
		return nil, refusal.Because(refusal.Untrusted, fmt.Sprintf(
			"the vault accepted the policy of %q and has another one now; look at it with skrctl key policy show", id), err)
	}
	return v.settled(ctx, id, c, stored)
}

// settled returns the key as it is after a pause, or stored if the context ends meanwhile.
func (v *Vault) settled(ctx context.Context, id hsm.KeyID, c *PolicyChange, stored *Key) (*Key, error) {
	if v.patience.Pause(ctx, v.patience.Every) != nil {
		return stored, nil //nolint:nilerr // the change was read back: only the second look is missing
	}
	now, err := v.Read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("the policy of %q was changed; reading it once more: %w", id, err)
	}
	if err := c.compare(now); err != nil {
		return nil, refusal.Because(refusal.ManagementRejected, fmt.Sprintf(
			"another program changed %q at the same time, and this change may be lost; run the command again to see the difference", id), err)
	}
	return now, nil
}

// unchanged returns an error if the key is not as it was seen.
func (v *Vault) unchanged(ctx context.Context, id hsm.KeyID, seen *Key) error {
	now, err := v.Read(ctx, id)
	if err != nil {
		return err
	}
	var what string
	switch {
	case now.ID != seen.ID:
		what = fmt.Sprintf("it has a new version, %q", now.ID.Version())
	case now.Immutable:
		what = "its release policy is immutable now"
	case !bytes.Equal(now.Policy, seen.Policy):
		what = "its release policy is another one"
	default:
		return nil
	}
	return refusal.Newf(refusal.ManagementRejected,
		"the key %q was changed since it was read: %s; nothing was written; run the command again to see the difference", id, what)
}

// compare returns the first difference between the stored key and the change.
func (c *PolicyChange) compare(stored *Key) error {
	switch {
	case stored.ID != c.seen.ID:
		return fmt.Errorf("the newest version is %q", stored.ID.Version())
	case stored.Immutable:
		return errors.New("immutable is true")
	}
	return SamePolicy(stored, c.policy)
}
