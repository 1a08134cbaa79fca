package provision

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/hsm"
	"skr/internal/jwk"
)

// Spec says what key is wanted. The zero value of each field but ID and Policy is
// good.
type Spec struct {
	// ID is the vault and the name, without a version.
	ID hsm.KeyID
	// Type is RSA-HSM, EC-HSM or oct-HSM; "" means RSA-HSM, or the type of Material.
	// Others cannot be released.
	Type string
	// Size in bits; 0 means 3072 for RSA and 256 for oct, or the size of Material.
	Size int
	// Curve of an EC key: P-256, P-256K, P-384 or P-521; "" means P-256, or that of
	// Material.
	Curve string
	// Operations are the key_ops; none means those that the AKS documentation's
	// script sets for RSA, sign and verify for EC, and those of AES for oct.
	Operations []string
	// Policy is the release policy.
	Policy *hsm.ReleasePolicy
	// Immutable freezes the policy for ever.
	Immutable bool
	// Tags are notes beside the key, which everybody reads who may read keys.
	Tags map[string]string
	// NotBefore and Expires bound the key's use; zero means without bound.
	NotBefore, Expires time.Time
	// Material is the key to import; nil has the vault make one. The Request keeps
	// it, and its owner wipes it.
	Material *hsm.Key
}

// Request is a Spec that was checked and completed. It can be sent several times.
type Request struct {
	spec   Spec
	public jwk.Key // of the material; zero without
}

// kind is what is known of a type of keys.
type kind struct {
	name       string // without "-HSM"
	sizes      []int  // the first is preset; none where a curve decides
	curves     []string
	preset     []string // operations
	operations []string // that the type can do (Azure REST API specification, JsonWebKeyOperation)
}

const suffix = "-HSM"

var kinds = []kind{
	{"RSA", []int{3072, 2048, 4096}, nil, []string{"wrapKey", "unwrapKey", "encrypt", "decrypt"},
		[]string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}},
	{"EC", nil, []string{"P-256", "P-256K", "P-384", "P-521"}, []string{"sign", "verify"}, []string{"sign", "verify"}},
	{"oct", []int{256, 192, 128}, nil, []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"},
		[]string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "deriveKey"}},
}

// NewRequest checks everything that does not need the vault. Its errors name the
// field and repeat no key material.
func NewRequest(s Spec) (*Request, error) {
	r := &Request{spec: s}
	for _, step := range []func() error{r.checkPlace, r.complete, r.checkKind, r.checkTimes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Request) checkPlace() error {
	switch id := r.spec.ID; {
	case id == hsm.KeyID{}:
		return errors.New("the key has no name")
	case id.Version() != "":
		return fmt.Errorf("name: %q has a version, which the vault chooses", id.Name()+"/"+id.Version())
	case r.spec.Policy == nil:
		return errors.New("there is no release policy; a key without one cannot be released")
	}
	return nil
}

// complete takes from the material what the Spec leaves open, and compares the rest.
func (r *Request) complete() (err error) {
	s := &r.spec
	if s.Material == nil {
		s.Type = cmp.Or(s.Type, "RSA"+suffix)
		return nil
	}
	if r.public, err = s.Material.Public(); err != nil {
		return err
	}
	size, err := sizeOf(s.Material, r.public)
	if err != nil {
		return err
	}
	found := Spec{Type: r.public.Type() + suffix, Size: size, Curve: r.public.Crv}
	s.Type, s.Size, s.Curve = cmp.Or(s.Type, found.Type), cmp.Or(s.Size, found.Size), cmp.Or(s.Curve, found.Curve)
	switch {
	case s.Type != found.Type:
		return fmt.Errorf("kty: %q is asked for, and the file holds an %s key", s.Type, r.public.Type())
	case s.Size != found.Size:
		return fmt.Errorf("size: %d is asked for, and the file holds a key of %d bits", s.Size, found.Size)
	case s.Curve != found.Curve:
		return fmt.Errorf("curve: %q is asked for, and the file holds a key on %q", s.Curve, found.Curve)
	}
	return nil
}

func (r *Request) checkKind() error {
	s := &r.spec
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.name+suffix == s.Type })
	if at < 0 {
		return fmt.Errorf("kty: %q is none of RSA-HSM, EC-HSM, oct-HSM; only keys in hardware can be released", s.Type)
	}
	k := kinds[at]
	if k.name == "oct" && s.ID.Vault().Flavour() != hsm.ManagedHSM {
		return errors.New("kty: oct-HSM is for a Managed HSM alone; Key Vault keeps no symmetric keys")
	}
	if err := k.checkSize(s); err != nil {
		return err
	}
	if len(s.Operations) == 0 {
		s.Operations = k.preset
	}
	for i, operation := range s.Operations {
		if !slices.Contains(k.operations, operation) {
			return fmt.Errorf("ops: %q is none of %s, which %s has", operation, strings.Join(k.operations, ", "), s.Type)
		}
		if slices.Contains(s.Operations[:i], operation) {
			return fmt.Errorf("ops: %q stands twice", operation)
		}
	}
	return nil
}

func (k kind) checkSize(s *Spec) error {
	switch {
	case k.sizes == nil && s.Size != 0:
		return fmt.Errorf("size: an %s key has a curve in its place", s.Type)
	case k.curves == nil && s.Curve != "":
		return fmt.Errorf("curve: an %s key has a size in its place", s.Type)
	case k.curves != nil:
		s.Curve = cmp.Or(s.Curve, k.curves[0])
		if !slices.Contains(k.curves, s.Curve) {
			return fmt.Errorf("curve: %q is none of %s", s.Curve, strings.Join(k.curves, ", "))
		}
	default:
		s.Size = cmp.Or(s.Size, k.sizes[0])
		if !slices.Contains(k.sizes, s.Size) {
			return fmt.Errorf("size: %d is none of %s", s.Size, strings.Trim(fmt.Sprint(slices.Sorted(slices.Values(k.sizes))), "[]"))
		}
	}
	return nil
}

func (r *Request) checkTimes() error {
	from, to := r.spec.NotBefore, r.spec.Expires
	if !from.IsZero() && !to.IsZero() && !to.After(from) {
		return errors.New("expires: the key would expire before it is valid")
	}
	return nil
}

// ID is the vault and name of the key.
func (r *Request) ID() hsm.KeyID { return r.spec.ID }

// Size in bits; 0 of an EC key.
func (r *Request) Size() int { return r.spec.Size }

// Policy is the release policy that will be stored.
func (r *Request) Policy() *hsm.ReleasePolicy { return r.spec.Policy }
