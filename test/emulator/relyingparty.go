package emulator

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const maxDocument = 1 << 20 // a real /certs has 96 kB

// relyingParty verifies attestation tokens for a vault. Like any client it
// fetches the authority's published keys over TLS and caches them; it fetches
// them again if a token names an unknown key.
type relyingParty struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]map[string]crypto.PublicKey // by authority and kid
}

// reach fetches the authority's OpenID configuration and keys.
func (p *relyingParty) reach(ctx context.Context, authority string) error {
	_, err := p.fetchKeys(ctx, authority)
	return err
}

// verify returns the claims of a token after it has checked the signature, the
// issuer and the times.
func (p *relyingParty) verify(ctx context.Context, authority, token string) (json.RawMessage, error) {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(strings.TrimSuffix(authority, "/")),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(p.now),
	)
	parsed, err := parser.Parse(token, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return p.key(ctx, authority, kid)
	})
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(parsed.Raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.DecodeString(payload)
}

func (p *relyingParty) key(ctx context.Context, authority, kid string) (crypto.PublicKey, error) {
	p.mu.Lock()
	key, known := p.keys[authority][kid]
	p.mu.Unlock()
	if known {
		return key, nil
	}
	keys, err := p.fetchKeys(ctx, authority)
	if err != nil {
		return nil, err
	}
	if key, known = keys[kid]; !known {
		return nil, fmt.Errorf("%q does not publish the token's key", authority)
	}
	return key, nil
}

func (p *relyingParty) fetchKeys(ctx context.Context, authority string) (map[string]crypto.PublicKey, error) {
	var configuration struct {
		Keys string `json:"jwks_uri"`
	}
	base := strings.TrimSuffix(authority, "/")
	if err := p.get(ctx, base+"/.well-known/openid-configuration", &configuration); err != nil {
		return nil, err
	}
	var set publishedKeys
	if err := p.get(ctx, configuration.Keys, &set); err != nil {
		return nil, err
	}
	keys := set.parse()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = make(map[string]map[string]crypto.PublicKey)
	}
	p.keys[authority] = keys
	return keys, nil
}

// publishedKeys is a JWKS whose keys are in certificates.
type publishedKeys struct {
	Keys []struct {
		Kid string   `json:"kid"`
		X5c []string `json:"x5c"`
	} `json:"keys"`
}

// parse skips entries that it cannot read: the set may hold keys of other
// kinds.
func (s *publishedKeys) parse() map[string]crypto.PublicKey {
	keys := make(map[string]crypto.PublicKey)
	for _, entry := range s.Keys {
		if len(entry.X5c) == 0 {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(entry.X5c[0])
		if err != nil {
			continue
		}
		if cert, err := x509.ParseCertificate(der); err == nil {
			keys[entry.Kid] = cert.PublicKey
		}
	}
	return keys
}

func (p *relyingParty) get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err != nil {
		return errors.Join(errors.New("reading an answer"), err)
	}
	return json.Unmarshal(body, into)
}
