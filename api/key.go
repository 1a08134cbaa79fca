package api

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Key is a released key with what the sidecar says about it.
type Key struct {
	// JWK is the key, for the caller to wipe. It has no kid.
	JWK Secret
	// ID is the full key identifier with its version,
	// "https://contoso.vault.azure.net/keys/name/version"; "" if the sidecar did not
	// tell it, as the reference sidecar does not.
	ID string
	// Cache is whether the sidecar kept the key; "" if it keeps none (key_cache_ttl).
	Cache CacheState
	// Age is the time since the vault released the key, in whole seconds; 0 if Cache is "".
	Age time.Duration
}

// CacheState is where the sidecar found a key.
type CacheState string

// The states.
const (
	// CacheMiss: the vault released the key for this request.
	CacheMiss CacheState = "miss"
	// CacheHit: the sidecar kept the key from an earlier release.
	CacheHit CacheState = "hit"
	// CacheStale: the sidecar kept the key beyond its time, because the authority or the
	// vault cannot be reached (max_stale).
	CacheStale CacheState = "stale"
)

// The errors of [Key.Signer], [Key.Decrypter] and [Key.Bytes], for errors.Is. Other errors
// mean that the JWK is malformed.
var (
	// ErrKeyType: the key is of a type that cannot be used in this way.
	ErrKeyType = errors.New("the key is of another type")
	// ErrCurve: the standard library lacks the key's curve, P-256K.
	ErrCurve = errors.New("the standard library lacks the curve")
)

// Signer returns an RSA key as *rsa.PrivateKey and an EC key as *ecdsa.PrivateKey. Go has no
// way to wipe them: make one and keep it.
func (k Key) Signer() (crypto.Signer, error) {
	members, err := parseJWK(k.JWK)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	defer members.wipe()
	signer, err := members.signer()
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	return signer, nil
}

// Decrypter returns an RSA key as *rsa.PrivateKey, which Go has no way to wipe. The error
// wraps [ErrKeyType] for other keys.
func (k Key) Decrypter() (crypto.Decrypter, error) {
	signer, err := k.Signer()
	if err != nil {
		return nil, err
	}
	private, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the key: %w: an EC key does not decrypt", ErrKeyType)
	}
	return private, nil
}

// Bytes returns a symmetric key (kty oct), for the caller to wipe. The error wraps
// [ErrKeyType] for other keys.
func (k Key) Bytes() ([]byte, error) {
	members, err := parseJWK(k.JWK)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	defer members.wipe()
	secret, err := members.symmetric()
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	return secret, nil
}

// Version returns the version of the key, for the caller to store beside what it encrypts.
// A later request names it in [ReleaseRequest.Version]. It is "" if ID is.
func (k Key) Version() string {
	_, name, _ := strings.Cut(k.ID, "/keys/")
	_, version, _ := strings.Cut(name, "/")
	return version
}

// Wipe overwrites the key with zeros.
func (k Key) Wipe() { k.JWK.Wipe() }

// LogValue redacts, as a JSON handler of log/slog would print the key.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("jwk", k.JWK), slog.String("id", k.ID),
		slog.String("cache", string(k.Cache)), slog.Duration("age", k.Age))
}

// Release returns the key as a JWK, for the caller to wipe.
func (c *Client) Release(ctx context.Context, r ReleaseRequest) (Secret, error) {
	key, err := c.ReleaseKey(ctx, r)
	return key.JWK, err
}

// Format is the form of a released key, for [Client.ReleaseAs].
type Format string

// The formats. PEM, DER and SSH are for key pairs, Raw for symmetric keys.
const (
	FormatJWK Format = "jwk" // a JSON Web Key
	FormatPEM Format = "pem" // PKCS #8 in PEM
	FormatDER Format = "der" // PKCS #8 in DER
	FormatSSH Format = "ssh" // OpenSSH's own form
	FormatRaw Format = "raw" // the bytes of the key
)

// ReleaseAs returns the key in a format, for the caller to wipe. The reference sidecar does
// not have formats: it answers with a JWK in a JSON string.
func (c *Client) ReleaseAs(ctx context.Context, r ReleaseRequest, format Format) (Secret, error) {
	var answer formatted
	_, err := c.post(ctx, RouteRelease+"?format="+url.QueryEscape(string(format)), r, &answer)
	return answer.key, err
}

// ReleaseKey is [Client.Release] with what the sidecar says about the key.
func (c *Client) ReleaseKey(ctx context.Context, r ReleaseRequest) (Key, error) {
	var answer ReleaseResponse
	header, err := c.post(ctx, RouteRelease, r, &answer)
	if err != nil {
		return Key{}, err
	}
	key := Key{JWK: answer.Key, ID: header.Get(HeaderKeyID), Cache: CacheState(header.Get(HeaderCache))}
	if key.Cache != "" {
		key.Age = age(header)
	}
	return key, nil
}

// age reads the seconds of RFC 9111 section 5.1; 0 if there are none.
func age(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get(HeaderAge), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
