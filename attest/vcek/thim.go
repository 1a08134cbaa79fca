package vcek

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"skr/attest/snp"
	"skr/internal/strictjson"
)

// Members of the document that Azure's Trusted Hardware Identity Management serves and
// that confidential container groups receive as host-amd-cert-base64 ("Trusted Hardware
// Identity Management", learn.microsoft.com/azure/security).
const (
	thimLeaf    = "vcekCert"         // PEM
	thimIssuers = "certificateChain" // PEM: intermediate, root
	thimTCB     = "tcbm"             // REPORTED_TCB as 16 hex digits
)

// ParseTHIM parses a THIM document. The leaf names the TCB, and tcbm only describes it:
// a different tcbm is a [Chain.Remark]. ParseTHIM ignores cacheControl and unknown
// members, and refuses duplicate members.
func ParseTHIM(data []byte) (*Chain, error) {
	chain, err := parseTHIM(data)
	if err != nil {
		return nil, fmt.Errorf("parsing THIM document: %w", err)
	}
	return chain, nil
}

func parseTHIM(data []byte) (*Chain, error) {
	document, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	certificates, err := document.texts(thimLeaf, thimIssuers)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for i, name := range []string{thimLeaf, thimIssuers} {
		some, err := parseAllCertificates([]byte(certificates[i]))
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", name, err)
		}
		all = append(all, some...)
	}
	chain, err := assemble(all)
	if err != nil {
		return nil, err
	}
	chain.tcbm, _ = document.Text(thimTCB)
	return chain, nil
}

// checkTCBM compares components, because the layout depends on the product.
func (c *Chain) checkTCBM() error {
	raw, err := parseTCBM(c.tcbm)
	if err != nil {
		return fmt.Errorf("member %s is %.40q: %w", thimTCB, c.tcbm, err)
	}
	if said := snp.NewTCB(raw, c.Product()); said.Components() != c.endorsed.levels {
		return fmt.Errorf("member %s is %s (%s), but the certificate is for %s (%s)", thimTCB, said.Hex(), said, c.TCB().Hex(), c.TCB())
	}
	return nil
}

func parseTCBM(text string) (uint64, error) {
	digits, err := hex.DecodeString(text)
	if err != nil || len(digits) != 8 {
		return 0, errors.New("want 16 hex digits")
	}
	var raw uint64
	for _, b := range digits {
		raw = raw<<8 | uint64(b)
	}
	return raw, nil
}

type document struct{ strictjson.Object }

func parseDocument(data []byte) (document, error) {
	if len(data) > maxDocument {
		return document{}, fmt.Errorf("%d bytes are more than %d", len(data), maxDocument)
	}
	parsed, err := strictjson.Parse(data)
	if err != nil {
		return document{}, fmt.Errorf("it %w", err)
	}
	return document{parsed}, nil
}

// texts returns the required members with these names.
func (d document) texts(names ...string) ([]string, error) {
	texts := make([]string, len(names))
	for i, name := range names {
		value, found := d.Lookup(name)
		text, ok := value.(string)
		switch {
		case !found:
			return nil, fmt.Errorf("member %s is missing", name)
		case !ok:
			return nil, fmt.Errorf("member %s is not a string", name)
		}
		texts[i] = text
	}
	return texts, nil
}
