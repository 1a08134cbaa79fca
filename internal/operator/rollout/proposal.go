package rollout

import (
	"fmt"
	"slices"

	"skr/internal/check"
	"skr/internal/operator/lint"
	"skr/internal/operator/provision"
	"skr/releasepolicy"
)

// Proposal is a change of one key's policy, before it is written.
type Proposal struct {
	// Key as it was read.
	Key *provision.Key
	// Before and After are the policies. They are the same value if nothing changes.
	Before, After *releasepolicy.Policy
	// Changes are the differences in meaning.
	Changes []releasepolicy.Change
	// Losses are the pods that may have the key before and not after.
	Losses []releasepolicy.Loss
	// Widening are the reasons why others get the key, apart from values and authorities that
	// were added.
	Widening []check.Result
}

// Propose returns the change of a key to the policy that next makes of the present one.
func Propose(key *provision.Key, next func(*releasepolicy.Policy) (*releasepolicy.Policy, error), subject lint.Subject) (Proposal, error) {
	p := Proposal{Key: key}
	if len(key.Policy) == 0 {
		_, err := provision.NewPolicyChange(key, nil)
		return p, err
	}
	var err error
	if p.Before, err = releasepolicy.Parse(key.Policy); err != nil {
		return p, fmt.Errorf("the release policy of %q cannot be read, so a difference cannot be shown; replace it with "+
			"az keyvault key set-attributes --policy: %w", key.ID, err)
	}
	if p.After, err = next(p.Before); err != nil {
		return p, fmt.Errorf("the key %q: %w", key.ID.Name(), err)
	}
	if releasepolicy.Same(p.Before, p.After, key.ID.Vault().Flavour()) {
		p.After = p.Before
		return p, nil
	}
	p.Changes, p.Losses = releasepolicy.Diff(p.Before, p.After), releasepolicy.Losses(p.Before, p.After)
	p.Widening = lint.Widening(p.Before, p.After, subject)
	return p, nil
}

// IsEmpty reports whether the vault stores the policy already.
func (p Proposal) IsEmpty() bool { return p.Before == p.After }

// Unaccepted returns the reasons against the change that the names of rules do not accept.
func (p Proposal) Unaccepted(accept []string) (refused []check.Result) {
	for _, f := range p.Widening {
		if !slices.Contains(accept, f.Name) {
			refused = append(refused, f)
		}
	}
	return refused
}

// Change returns the request to the vault. It has the errors of [provision.NewPolicyChange].
func (p Proposal) Change() (*provision.PolicyChange, error) {
	return provision.NewPolicyChange(p.Key, p.After)
}
