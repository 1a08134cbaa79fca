package entra

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const projectedLife = time.Hour // the default expirationSeconds of a projected token

// Cluster is the service account issuer of an emulated AKS cluster.
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
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
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

func subject(namespace, account string) string {
	return "system:serviceaccount:" + namespace + ":" + account
}

// Token returns a projected service account token for the default audience:
// Kubernetes documentation, "Service account token volume projection".
func (c *Cluster) Token(namespace, account string) (string, error) {
	return c.sign(namespace, account, nil)
}

// PodToken returns such a token that is bound to a pod, as kubelet gives it to CSI drivers: Kubernetes
// documentation, "Bound service account tokens".
func (c *Cluster) PodToken(namespace, account, pod, uid string) (string, error) {
	return c.sign(namespace, account, map[string]string{"name": pod, "uid": uid})
}

func (c *Cluster) sign(namespace, account string, pod map[string]string) (string, error) {
	bound := map[string]any{
		"namespace":      namespace,
		"serviceaccount": map[string]string{"name": account, "uid": GUID()},
	}
	if pod != nil {
		bound["pod"] = pod
	}
	now := c.now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud":           []string{DefaultAudience},
		"iss":           c.issuer,
		"sub":           subject(namespace, account),
		"iat":           now.Unix(),
		"nbf":           now.Unix(),
		"exp":           now.Add(projectedLife).Unix(),
		"kubernetes.io": bound,
	})
	token.Header["kid"] = c.kid
	signed, err := token.SignedString(c.key)
	if err != nil {
		return "", fmt.Errorf("entra: signing a service account token: %w", err)
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
