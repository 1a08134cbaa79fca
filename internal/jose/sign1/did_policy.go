package sign1

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// policy is a condition of a did:x509 on the leaf certificate.
type policy interface {
	admits(leaf *x509.Certificate) error
}

var (
	_ policy = ekuPolicy{}
	_ policy = subjectPolicy{}
	_ policy = sanPolicy{}
)

// parsePolicy parses "name:value". It refuses unknown policies, such as fulcio-issuer,
// because without them the name would match more signers.
func parsePolicy(text string) (policy, error) {
	name, value, _ := strings.Cut(text, ":")
	switch name {
	case "eku":
		return parseEKU(value)
	case "subject":
		return parseSubject(value)
	case "san":
		return parseSAN(value)
	default:
		return nil, fmt.Errorf("policy %.50q is not known", name)
	}
}

// ekuPolicy requires a purpose among the extended key usages.
type ekuPolicy struct{ purpose x509.OID }

func parseEKU(value string) (policy, error) {
	purpose, err := x509.ParseOID(value)
	if err != nil || purpose.String() != value {
		return nil, errors.New("policy eku is not an object identifier")
	}
	return ekuPolicy{purpose}, nil
}

func (p ekuPolicy) admits(leaf *x509.Certificate) error {
	for _, usage := range leaf.ExtKeyUsage {
		if usage.OID().Equal(p.purpose) {
			return nil
		}
	}
	for _, usage := range leaf.UnknownExtKeyUsage {
		if p.purpose.EqualASN1OID(usage) {
			return nil
		}
	}
	return fmt.Errorf("the leaf lacks the extended key usage %s", p.purpose)
}

// subjectPolicy requires attributes of the subject name, each exactly once.
type subjectPolicy map[string]string // dotted object identifier to value

// attributes are the labels of RFC 4514 section 3 that did:x509 allows.
var attributes = map[string]string{
	"CN": "2.5.4.3", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8",
	"STREET": "2.5.4.9", "O": "2.5.4.10", "OU": "2.5.4.11",
}

func parseSubject(value string) (policy, error) {
	items := strings.Split(value, ":")
	if len(items)%2 != 0 {
		return nil, errors.New("policy subject is not made of pairs")
	}
	wanted := make(subjectPolicy)
	for pair := range slices.Chunk(items, 2) {
		key, err := parseAttribute(pair[0])
		if err != nil {
			return nil, err
		}
		if _, found := wanted[key]; found {
			return nil, fmt.Errorf("policy subject names %.50q twice", pair[0])
		}
		if wanted[key], err = unescape(pair[1]); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

func parseAttribute(key string) (string, error) {
	if oid, found := attributes[key]; found {
		return oid, nil
	}
	oid, err := x509.ParseOID(key)
	if err != nil || oid.String() != key {
		return "", fmt.Errorf("policy subject has the unknown attribute %.50q", key)
	}
	return key, nil
}

func (p subjectPolicy) admits(leaf *x509.Certificate) error {
	has := make(map[string][]string)
	for _, attribute := range leaf.Subject.Names {
		value, _ := attribute.Value.(string)
		key := attribute.Type.String()
		has[key] = append(has[key], value)
	}
	for key, value := range p {
		if !slices.Equal(has[key], []string{value}) {
			return fmt.Errorf("the leaf's subject attribute %s is not %.100q", key, value)
		}
	}
	return nil
}

// sanPolicy requires a subject alternative name.
type sanPolicy struct{ kind, name string }

func parseSAN(value string) (policy, error) {
	kind, escaped, _ := strings.Cut(value, ":")
	if kind != "email" && kind != "dns" && kind != "uri" {
		return nil, fmt.Errorf("policy san has the unknown type %.50q", kind)
	}
	name, err := unescape(escaped)
	return sanPolicy{kind, name}, err
}

func (p sanPolicy) admits(leaf *x509.Certificate) error {
	var names []string
	switch p.kind {
	case "email":
		names = leaf.EmailAddresses
	case "dns":
		names = leaf.DNSNames
	case "uri":
		for _, uri := range leaf.URIs {
			names = append(names, uri.String())
		}
	}
	if !slices.Contains(names, p.name) {
		return fmt.Errorf("the leaf has no alternative name %s %.100q", p.kind, p.name)
	}
	return nil
}

// unescape decodes percent-encoding, in which only letters, digits, "-", "." and "_" may
// be unencoded (section Percent-encoding).
func unescape(text string) (string, error) {
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '%':
		default:
			return "", fmt.Errorf("%q must be percent-encoded", c)
		}
	}
	value, err := url.PathUnescape(text)
	if err != nil || value == "" {
		return "", errors.New("a policy's value is empty or not percent-encoded")
	}
	return value, nil
}
