// Package invault uses keys that stay in their vault: a key that is not exportable cannot be
// released, and the vault performs its operations for an identity that may use it (Azure REST
// API specification, Key Vault 7.4: GetKey, encrypt, decrypt, sign, verify, wrapKey, unwrapKey).
//
//	keys := invault.New(invault.Config{Identity: identity, HTTP: client, TTL: ttl})
//	key, err := keys.Key(ctx, request)
//	output, err := key.Do(ctx, keyuse.Sign, keyuse.Input{Algorithm: "ES256", Value: digest})
//
// Nothing is attested: the vault checks the access token of the pod's identity, and no
// release policy. An answer is used only if it names the key and its version, has the right
// lengths, and, for a signature, verifies with the public key.
package invault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/keyrelease"
)

// Config of Keys.
type Config struct {
	// Identity gives the access tokens.
	Identity keyrelease.Identity
	// Transport sends the requests, with bounds and retries.
	Transport policy.Transporter
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
	// TTL is how long a public key, and which version is the newest, is kept; 0 reads the key
	// for each request.
	TTL time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// maxKept is the number of keys that one caller may have kept.
const maxKept = 16

// Keys reads and uses keys in their vaults. It is safe for concurrent use.
type Keys struct {
	config Config

	mu   sync.Mutex
	kept *cache.Cache[hsm.KeyID, kept]
}

// kept is a key with the time until which it is served.
type kept struct {
	key   *Key
	until time.Time
}

// New returns Keys. It sends no request.
func New(c Config) *Keys {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Keys{config: c, kept: cache.New[hsm.KeyID, kept](maxKept)}
}

// Key reads the public part of a key, and which version is the newest if the request names
// none. It refuses with [refusal.OperationRejected], [refusal.KeyNotFound],
// [refusal.Untrusted], [refusal.Throttled], [refusal.Unavailable] or [refusal.Timeout].
func (k *Keys) Key(ctx context.Context, request keyrelease.Request) (*Key, error) {
	k.mu.Lock()
	held, found := k.kept.Get(cache.Caller(ctx), request.Key)
	k.mu.Unlock()
	if found && k.config.Now().Before(held.until) {
		return held.key, nil
	}
	key, err := k.read(ctx, request)
	if err != nil {
		return nil, err
	}
	if k.config.TTL > 0 {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.kept.Put(cache.Caller(ctx), request.Key, kept{key, k.config.Now().Add(k.config.TTL)})
	}
	return key, nil
}

func (k *Keys) read(ctx context.Context, request keyrelease.Request) (*Key, error) {
	vault, access, err := k.connect(ctx, request)
	if err != nil {
		return nil, err
	}
	answer, err := vault.GetKey(ctx, request.Key.Name(), request.Key.Version(), nil)
	if err != nil {
		return nil, refused(request.Key, reading, access, err)
	}
	key, err := parse(request, answer.KeyBundle)
	if err != nil {
		return nil, refusal.Because(refusal.Untrusted, "the vault's answer does not describe the key; check which server answers there", err)
	}
	key.keys = k
	return key, nil
}

// connect returns a client for one request, and the access token that it has.
func (k *Keys) connect(ctx context.Context, request keyrelease.Request) (*azkeys.Client, secmem.Text, error) {
	access, err := k.config.Identity.AccessToken(ctx, request)
	if err != nil {
		return nil, access, err
	}
	vault, err := hsm.Connection{
		Vault: request.Key.Vault(), Access: access, Transport: k.config.Transport, APIVersion: k.config.APIVersion,
	}.Open()
	if err != nil {
		return nil, access, refusal.Because(refusal.Unavailable, "the vault's client cannot be made", err)
	}
	return vault, access, nil
}

func parse(request keyrelease.Request, bundle azkeys.KeyBundle) (*Key, error) {
	if bundle.Key == nil || bundle.Key.KID == nil || bundle.Key.Kty == nil {
		return nil, errors.New("it lacks the key, its identifier or its type")
	}
	id, err := request.Key.Vault().Key(string(*bundle.Key.KID))
	if err != nil {
		return nil, fmt.Errorf("reading the identifier: %w", err)
	}
	if !request.Key.Covers(id) || id.Version() == "" {
		return nil, fmt.Errorf("it is of %q", id)
	}
	key := &Key{request: request, public: publicOf(bundle.Key, id)}
	key.request.Key = id
	switch key.public.Type() {
	case "RSA", "EC":
		key.checks.Public, err = key.public.PublicKey()
	case "oct":
	default:
		err = fmt.Errorf("keys of type %.20q have no operations", key.public.Kty)
	}
	return key, err
}

// publicOf returns the public members of a key that a vault wrote.
func publicOf(key *azkeys.JSONWebKey, id hsm.KeyID) jwk.Key {
	encode := base64.RawURLEncoding.EncodeToString
	public := jwk.Key{Kid: id.String(), Kty: string(*key.Kty), N: encode(key.N), E: encode(key.E), X: encode(key.X), Y: encode(key.Y)}
	if key.Crv != nil {
		public.Crv = string(*key.Crv)
	}
	for _, op := range key.KeyOps {
		if op != nil {
			public.KeyOps = append(public.KeyOps, string(*op))
		}
	}
	return public
}

// allows reports whether the key_ops list the operation.
func allows(public jwk.Key, op keyuse.Operation) bool {
	for _, listed := range public.KeyOps {
		if listed == string(op) {
			return true
		}
	}
	return len(public.KeyOps) == 0
}
