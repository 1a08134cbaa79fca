package provision

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"skr/releasepolicy"
)

// compare returns the first difference between a stored key and the request.
func (r *Request) compare(k *Key) error {
	s := &r.spec
	switch {
	case !k.Exportable:
		return errors.New("it is not exportable")
	case !k.Enabled:
		return errors.New("it is disabled")
	case k.Immutable != s.Immutable:
		return fmt.Errorf("immutable is %t", k.Immutable)
	case k.Public.Kty != s.Type:
		return fmt.Errorf("its type is %q", k.Public.Kty)
	case k.Public.Crv != s.Curve:
		return fmt.Errorf("its curve is %q", k.Public.Crv)
	case k.Public.Type() == "RSA" && k.Size() != s.Size:
		return fmt.Errorf("it has %d bits", k.Size())
	case !sameSet(k.Operations, s.Operations):
		return fmt.Errorf("its operations are %q", k.Operations)
	case !maps.Equal(k.Tags, s.Tags) && len(k.Tags)+len(s.Tags) > 0:
		return errors.New("its tags differ")
	case !k.NotBefore.Equal(s.NotBefore) || !k.Expires.Equal(s.Expires):
		return errors.New("its times of validity differ")
	}
	if err := r.comparePublic(k); err != nil {
		return err
	}
	return SamePolicy(k, s.Policy)
}

// sameSet ignores the order, which Managed HSM changes from answer to answer.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// comparePublic compares an imported key with the one that was sent. A symmetric key has no
// public part to compare.
func (r *Request) comparePublic(k *Key) error {
	if r.spec.Material == nil || k.Public.Type() == "oct" {
		return nil
	}
	want, err := r.public.Thumbprint()
	if err != nil {
		return err
	}
	got, err := k.Public.Thumbprint()
	if err != nil {
		return err
	}
	if got != want {
		return errors.New("its public key differs")
	}
	return nil
}

// SamePolicy returns an error unless the key's release policy is the given one, in the form in
// which the service stores it. UNCONFIRMED: that form is known from release statements, and a
// key's description is assumed to have the same.
func SamePolicy(k *Key, policy *releasepolicy.Policy) error {
	stored, err := releasepolicy.Parse(k.Policy)
	if err != nil {
		return fmt.Errorf("its release policy cannot be read: %w", err)
	}
	if !releasepolicy.Same(stored, policy, k.ID.Vault().Flavour()) {
		return errors.New("its release policy differs")
	}
	return nil
}
