package entra

import (
	"crypto/rsa"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/test/rsakey"
)

const projectedLife = time.Hour // the default expirationSeconds of a projected token

// Cluster is the service account issuer of an emulated AKS cluster, or the
// issuer of a pipeline's tokens.
type Cluster struct {
	issuer string
	key    *rsa.PrivateKey
	kid    string
	now    func() time.Time
}

// NewCluster creates an issuer with a new key. If now is nil, it uses time.Now.
func NewCluster(issuer string, now func() time.Time) (*Cluster, error) {
	if now == nil {
		now = time.Now
	}
	key, err := rsakey.Generate(keyBits)
	if err != nil {
		return nil, fmt.Errorf("entra: making the cluster's key: %w", err)
	}
	return &Cluster{issuer, key, opaqueID(), now}, nil
}

// Federation returns the credential that trusts a service account of this
// cluster.
func (c *Cluster) Federation(namespace, account string) Federation {
	return Federation{Issuer: c.issuer, Subject: subject(namespace, account), Key: &c.key.PublicKey}
}

// Trust returns the credential that trusts a subject of this issuer, such as
// repo:ORG/NAME:ref:refs/heads/main of GitHub's.
func (c *Cluster) Trust(subject string) Federation {
	return Federation{Issuer: c.issuer, Subject: subject, Key: &c.key.PublicKey}
}

// Assertion returns a token of this issuer for a subject, with the claims that
// Entra ID looks at.
func (c *Cluster) Assertion(subject string) (string, error) {
	return c.sign(subject, jwt.MapClaims{"aud": DefaultAudience})
}

func subject(namespace, account string) string {
	return "system:serviceaccount:" + namespace + ":" + account
}

// Token returns a projected service account token for the default audience:
// Kubernetes documentation, "Service account token volume projection".
func (c *Cluster) Token(namespace, account string) (string, error) {
	return c.account(namespace, account, nil)
}

// PodToken returns such a token that is bound to a pod, as kubelet gives it to CSI drivers: Kubernetes
// documentation, "Bound service account tokens".
func (c *Cluster) PodToken(namespace, account, pod, uid string) (string, error) {
	return c.account(namespace, account, map[string]string{"name": pod, "uid": uid})
}

func (c *Cluster) account(namespace, account string, pod map[string]string) (string, error) {
	bound := map[string]any{
		"namespace":      namespace,
		"serviceaccount": map[string]string{"name": account, "uid": GUID()},
	}
	if pod != nil {
		bound["pod"] = pod
	}
	return c.sign(subject(namespace, account), jwt.MapClaims{
		"aud": []string{DefaultAudience}, "kubernetes.io": bound,
	})
}

func (c *Cluster) sign(subject string, claims jwt.MapClaims) (string, error) {
	now := c.now()
	claims["iss"], claims["sub"] = c.issuer, subject
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(projectedLife).Unix()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = c.kid
	signed, err := token.SignedString(c.key)
	if err != nil {
		return "", fmt.Errorf("entra: signing a token of %s: %w", c.issuer, err)
	}
	return signed, nil
}

// WriteToken writes such a token to a file, as the kubelet does.
func (c *Cluster) WriteToken(path, namespace, account string) error {
	token, err := c.Token(namespace, account)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		return fmt.Errorf("entra: writing a projected token: %w", err)
	}
	return nil
}
