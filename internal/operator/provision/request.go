package provision

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/releasepolicy"
)

// Spec is the key to make. Every field except ID and Policy may be zero.
type Spec struct {
	// ID is the vault and the name, without a version.
	ID hsm.KeyID
	// Type is RSA-HSM, EC-HSM or oct-HSM; "" means RSA-HSM, or the type of Material.
	// Other types cannot be released.
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
	Policy *releasepolicy.Policy
	// Immutable makes the policy unchangeable for ever.
	Immutable bool
	// Tags are notes on the key. Everyone who may read keys can read them.
	Tags map[string]string
	// NotBefore and Expires bound the key's use; zero means without bound.
	NotBefore, Expires time.Time
	// Material is the key to import; nil means that the vault creates one. The Request keeps
	// it, and its owner wipes it.
	Material *hsm.Key
}

// Request is a Spec that was checked and completed. It can be sent several times.
type Request struct {
	spec     Spec
	public   jwk.Key // of the material; zero without
	warnings []string
}

// kind is what is known about a type of keys. Sizes and operations are those that the services
// have today. Others cause a warning, and the vault decides. The types, the curves and the
// largest size are those that this program can read back and unwrap.
type kind struct {
	name       string // without "-HSM"
	sizes      []int  // the first is preset; none if a curve decides
	largest    int
	curves     []string
	preset     []string // operations
	operations []string // that the type can do (Azure REST API specification, JsonWebKeyOperation)
}

const suffix = "-HSM"

// longestName is from "Azure Key Vault keys, secrets and certificates overview", section "Object
// identifiers".
const longestName = 127

var kinds = []kind{
	{"RSA", []int{3072, 2048, 4096}, 16384, nil, []string{"wrapKey", "unwrapKey", "encrypt", "decrypt"},
		[]string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}},
	{"EC", nil, 0, []string{"P-256", "P-256K", "P-384", "P-521"}, []string{"sign", "verify"}, []string{"sign", "verify"}},
	{"oct", []int{256, 192, 128}, 512, nil, []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"},
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
		return errors.New("the release policy is missing; a key without one cannot be released")
	case len(id.Name()) > longestName:
		r.warn("name: it has %d characters, and the services are known to take %d; the vault may refuse it", len(id.Name()), longestName)
	}
	return nil
}

// complete fills the open fields of the Spec from the material, and compares the others.
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
	if k.name == "oct" && s.ID.Vault().Flavour() != releasepolicy.ManagedHSM {
		r.warn("kty: symmetric keys of a Key Vault are a preview for premium vaults, which a vault may refuse; a Managed HSM keeps them")
	}
	if err := r.checkSize(k); err != nil {
		return err
	}
	if len(s.Operations) == 0 {
		s.Operations = k.preset
	}
	for i, operation := range s.Operations {
		if !slices.Contains(k.operations, operation) {
			if !word.MatchString(operation) {
				return fmt.Errorf("ops: %.40q is no operation of keys", operation)
			}
			r.warn("ops: %q is none of %s, which %s is known to have; the vault may refuse it", operation, strings.Join(k.operations, ", "), s.Type)
		}
		if slices.Contains(s.Operations[:i], operation) {
			return fmt.Errorf("ops: %q stands twice", operation)
		}
	}
	return nil
}

func (r *Request) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// Warnings returns what the services are not known to support, and may refuse.
func (r *Request) Warnings() []string { return r.warnings }

func (r *Request) checkSize(k kind) error {
	s := &r.spec
	switch {
	case k.sizes == nil && s.Size != 0:
		return fmt.Errorf("size: an %s key has a curve in its place", s.Type)
	case k.curves == nil && s.Curve != "":
		return fmt.Errorf("curve: an %s key has a size in its place", s.Type)
	case k.curves != nil:
		s.Curve = cmp.Or(s.Curve, k.curves[0])
		if !slices.Contains(k.curves, s.Curve) {
			return fmt.Errorf("curve: %q is none of %s, which skr can read", s.Curve, strings.Join(k.curves, ", "))
		}
	default:
		s.Size = cmp.Or(s.Size, k.sizes[0])
		return r.checkBits(k)
	}
	return nil
}

// checkBits refuses sizes that could not be read back or that are smaller than any of the
// services' keys.
func (r *Request) checkBits(k kind) error {
	bits, least := r.spec.Size, slices.Min(k.sizes)
	switch {
	case bits < least || bits > k.largest:
		return fmt.Errorf("size: %d is not from %d to %d bits, which skr can read", bits, least, k.largest)
	case !slices.Contains(k.sizes, bits):
		r.warn("size: %d is none of %s, which the services are known to have; the vault may refuse it",
			bits, strings.Trim(fmt.Sprint(slices.Sorted(slices.Values(k.sizes))), "[]"))
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

// ID returns the vault and the name of the key.
func (r *Request) ID() hsm.KeyID { return r.spec.ID }

// Size returns the size in bits; 0 for an EC key.
func (r *Request) Size() int { return r.spec.Size }

// Policy returns the release policy that will be stored.
func (r *Request) Policy() *releasepolicy.Policy { return r.spec.Policy }
