package vault

import (
	"context"

	"skr/releasepolicy"
)

// checkExport checks a new version's exportable attribute, release policy and
// key type against each other.
func (v *Vault) checkExport(r *keyRequest, m material) error {
	switch {
	case r.exportable() && v.config.StandardSKU && !v.managedHSM():
		return v.faultRelease(1001, "The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'.")
	case r.exportable() && !m.hardware:
		return v.faultRelease(1006, "Exportable keys must be protected by an HSM.") // text UNCONFIRMED
	case r.exportable() && !r.Policy.given():
		return v.faultRelease(1004, "Exportable keys must have release policy.")
	case !r.exportable() && r.Policy.given():
		return v.faultRelease(1005, "Non-exportable keys must not have release policy.")
	}
	return nil
}

// given is also false for a policy without data, which is what the services
// receive when an SDK is passed text instead of bytes.
func (p *policyRequest) given() bool { return p != nil && p.Data != "" }

// policyFrom parses a policy and reaches every authority in it. The texts for a
// malformed policy are UNCONFIRMED.
func (v *Vault) policyFrom(ctx context.Context, p *policyRequest) (*storedPolicy, error) {
	if !p.given() {
		return nil, nil
	}
	data, err := decode64(p.Data)
	if err != nil {
		return nil, badParameter("The release policy's data is not base64url.")
	}
	rules, err := releasepolicy.Parse(data)
	if err != nil {
		return nil, badParameter("The key release policy is invalid: %s", err)
	}
	for _, authority := range rules.Authorities() {
		if err := v.config.ReachAuthority(ctx, authority); err != nil {
			return nil, v.faultRelease(1012, "The specified attestation service %s cannot be reached.", authority)
		}
	}
	contentType := p.ContentType
	if contentType == "" {
		contentType = defaultPolicyType
	}
	return &storedPolicy{contentType: contentType, immutable: p.Immutable, rules: rules}, nil
}

// checkFrozen refuses a new policy if the present one is immutable, also for a
// new version of the key.
func (v *Vault) checkFrozen(present, next *storedPolicy) error {
	if present != nil && present.immutable && next != nil {
		return v.faultRelease(1020, "Immutable Key Release Policy cannot be modified.")
	}
	return nil
}
