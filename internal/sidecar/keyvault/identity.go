package keyvault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files that NewIdentity writes for the application.
const (
	// CAFile has the certificate that clients must trust, as PEM.
	CAFile = "ca.pem"
	// TokenFile has the bearer token that clients send. Its mode is 0400.
	TokenFile = "token"
)

// certificateLife is longer than any pod runs. The keys of the certificates end with the
// process.
const certificateLife = 5 * 365 * 24 * time.Hour

// Identity is how clients recognise this listener, and it them. Each start makes a new one.
type Identity struct {
	certificate tls.Certificate
	dnsNames    []string
	token       [sha256.Size]byte
	open        bool // the access section identifies callers
}

// NewIdentity makes a certificate for localhost, the loopback addresses and names, and a
// token, and writes CAFile and TokenFile to dir. If the access section identifies callers, it
// makes no token.
func NewIdentity(dir string, names []string, byAccess bool, now time.Time) (*Identity, error) {
	i := &Identity{dnsNames: []string{"localhost"}, open: byAccess}
	for _, name := range names {
		i.dnsNames = append(i.dnsNames, strings.ToLower(name))
	}
	authority, err := i.certify(now)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	if err := write(dir, CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority}), 0o444); err != nil {
		return nil, err
	}
	if byAccess {
		return i, removeToken(dir)
	}
	token := rand.Text()
	i.token = sha256.Sum256([]byte(token))
	return i, write(dir, TokenFile, []byte(token), 0o400)
}

// removeToken removes the token of an earlier start, which this one refuses.
func removeToken(dir string) error {
	if err := os.Remove(filepath.Join(dir, TokenFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the token of an earlier start: %w", err)
	}
	return nil
}

// certify makes an authority that signs one certificate, and forgets its key.
func (i *Identity) certify(now time.Time) (authority []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := i.template(now, "skr, keys in use")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage, ca.MaxPathLenZero = true, true, x509.KeyUsageCertSign, true
	if authority, err = x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := i.template(now, i.dnsNames[0])
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames, leaf.IPAddresses = i.dnsNames, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	i.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return authority, err
}

func (i *Identity) template(now time.Time, name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
	}
}

// TLS returns the configuration of the listener.
func (i *Identity) TLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{i.certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// names reports whether the certificate has the host of a request.
func (i *Identity) names(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if address := net.ParseIP(host); address != nil {
		return address.Equal(net.IPv4(127, 0, 0, 1)) || address.Equal(net.IPv6loopback)
	}
	return slices.Contains(i.dnsNames, host)
}

// admit checks the bearer token of a request. Without one it returns a challenge, for which
// clients of the vault wait before they send a body.
func (i *Identity) admit(r *http.Request) (challenge string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && token != "" && i.accepts(token) {
		return "", true
	}
	return `Bearer authorization="https://login.microsoftonline.com/common", resource="` + resourceOf(r.Host) + `"`, false
}

// accepts compares the token with that of the file. With an access section, the local server
// identifies the caller.
func (i *Identity) accepts(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return i.open || subtle.ConstantTimeCompare(sum[:], i.token[:]) == 1
}

// write replaces a file in one step, so that no reader sees half of it.
func write(dir, name string, text []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	err = file.Chmod(mode)
	if err == nil {
		_, err = file.Write(text)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
