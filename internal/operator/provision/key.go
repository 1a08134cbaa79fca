package provision

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/jose/jwk"
)

// Item is a key in a list. Except for the ID it is remote text that is not signed.
type Item struct {
	ID                  hsm.KeyID
	Enabled, Exportable bool
	// Created and Updated are the vault's times. NotBefore and Expires are zero without such a
	// bound.
	Created, Updated, NotBefore, Expires time.Time
	Tags                                 map[string]string
}

// Key is one version of a key as its vault describes it.
type Key struct {
	Item
	// Public is the key without a private part; of a symmetric key only the type.
	Public jwk.Key
	// Operations are its key_ops.
	Operations []string
	// Policy is the release policy, byte for byte as stored; nil without one.
	Policy []byte
	// Immutable is set if the policy can never change.
	Immutable bool
}

// maxTags is more than any service accepts.
const maxTags = 64

// word matches key types, curves and operations.
var word = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

func readKey(vault hsm.Vault, bundle azkeys.KeyBundle) (*Key, error) {
	if bundle.Key == nil {
		return nil, errors.New("member key is missing")
	}
	item, err := readItem(vault, &azkeys.KeyProperties{KID: bundle.Key.KID, Attributes: bundle.Attributes, Tags: bundle.Tags})
	if err != nil {
		return nil, err
	}
	key := &Key{Item: item, Public: publicPart(bundle.Key)}
	for _, operation := range bundle.Key.KeyOps {
		key.Operations = append(key.Operations, string(value(operation)))
	}
	for _, text := range append([]string{key.Public.Kty}, key.Operations...) {
		if !word.MatchString(text) {
			return nil, fmt.Errorf("%.40q is neither a type nor an operation of keys", text)
		}
	}
	if policy := bundle.ReleasePolicy; policy != nil {
		key.Policy, key.Immutable = policy.EncodedPolicy, value(policy.Immutable)
	}
	return key, key.checkPublic()
}

// publicPart leaves out private members, which a vault must not send.
func publicPart(k *azkeys.JSONWebKey) jwk.Key {
	text := base64.RawURLEncoding.EncodeToString
	return jwk.Key{
		Kty: string(value(k.Kty)), Crv: string(value(k.Crv)), N: text(k.N), E: text(k.E), X: text(k.X), Y: text(k.Y),
	}
}

func (k *Key) checkPublic() error {
	if k.Public.Type() == "oct" {
		return nil
	}
	_, err := k.Public.PublicKey()
	return err
}

// PEM returns the public key. A symmetric key has none.
func (k *Key) PEM() ([]byte, error) {
	if k.Public.Type() == "oct" {
		return nil, fmt.Errorf("%q is a symmetric key, which has no public part", k.ID)
	}
	public, err := k.Public.PublicKey()
	if err != nil {
		return nil, err
	}
	return hsm.PublicPEM(public)
}

// Size returns the size of an RSA key in bits, and 0 for others: an EC key has a curve, and a
// vault does not return the size of a symmetric key.
func (k *Key) Size() int {
	bits, err := modulus(k.Public)
	if err != nil {
		return 0
	}
	return bits
}

func readItem(vault hsm.Vault, p *azkeys.KeyProperties) (Item, error) {
	if p == nil || p.KID == nil || p.Attributes == nil {
		return Item{}, errors.New("a key lacks its id or its attributes")
	}
	id, err := vault.Key(string(*p.KID))
	if err != nil {
		return Item{}, err
	}
	if len(p.Tags) > maxTags {
		return Item{}, fmt.Errorf("the key %q has %d tags", id, len(p.Tags))
	}
	a := p.Attributes
	return Item{
		ID: id, Enabled: value(a.Enabled), Exportable: value(a.Exportable),
		Created: value(a.Created), Updated: value(a.Updated), NotBefore: value(a.NotBefore), Expires: value(a.Expires),
		Tags: readTags(p.Tags),
	}, nil
}

func readTags(remote map[string]*string) map[string]string {
	tags := make(map[string]string, len(remote))
	for name, text := range remote {
		tags[name] = value(text)
	}
	return tags
}

// value returns what p points to, or the zero value for a missing member.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
