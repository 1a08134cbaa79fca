package sign1

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// SubjectIssuer returns the did:x509 name of a signer by its certificate's common name and
// the last certificate of its chain.
func SubjectIssuer(chain []*x509.Certificate) (string, error) {
	if len(chain) == 0 || chain[0].Subject.CommonName == "" {
		return "", errors.New("the first certificate has no common name")
	}
	return issuerName(chain, "subject:CN:"+escape(chain[0].Subject.CommonName))
}

// PurposeIssuer returns the did:x509 name of a signer by a purpose of its certificate, an
// object identifier of the extended key usages, and the last certificate of its chain.
func PurposeIssuer(chain []*x509.Certificate, purpose string) (string, error) {
	if _, err := parseEKU(purpose); err != nil {
		return "", err
	}
	return issuerName(chain, "eku:"+purpose)
}

func issuerName(chain []*x509.Certificate, policy string) (string, error) {
	if len(chain) < 2 {
		return "", errors.New("the certificate chain has no CA")
	}
	sum := sha256.Sum256(chain[len(chain)-1].Raw)
	text := didPrefix + "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:]) + didSeparator + policy
	name, err := ParseDID(text)
	if err != nil {
		return "", err
	}
	if _, err := name.Resolve(chain); err != nil {
		return "", err
	}
	return text, nil
}

// escape percent-encodes all but what did:x509 leaves as it is; see unescape.
func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// CommonName returns the common name that the DID asks of its signer, or "".
func (d DID) CommonName() string {
	for _, p := range d.policies {
		if subject, is := p.(subjectPolicy); is && subject[attributes["CN"]] != "" {
			return subject[attributes["CN"]]
		}
	}
	return ""
}

// Purpose returns the first purpose that the DID asks of its signer's certificate, or "".
func (d DID) Purpose() string {
	for _, p := range d.policies {
		if eku, is := p.(ekuPolicy); is {
			return eku.purpose.String()
		}
	}
	return ""
}
