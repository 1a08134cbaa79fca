package vcek

import (
	"encoding/hex"
	"errors"
	"fmt"

	"skr/attest/snp"
	"skr/internal/object"
)

// Members of the document that Azure's Trusted Hardware Identity Management
// serves, and that confidential container groups get as host-amd-cert-base64
// ("Trusted Hardware Identity Management", learn.microsoft.com/azure/security).
const (
	thimLeaf    = "vcekCert"         // PEM
	thimIssuers = "certificateChain" // PEM: intermediate, root
	thimTCB     = "tcbm"             // REPORTED_TCB as 16 hex digits
	thimCache   = "cacheControl"     // seconds; unused, as a report decides when another chain is needed
)

// ParseTHIM reads a THIM document. Its tcbm must be the TCB that the leaf
// names. Unknown members are ignored, duplicate ones refused.
func ParseTHIM(data []byte) (*Chain, error) {
	chain, err := parseTHIM(data)
	if err != nil {
		return nil, fmt.Errorf("vcek: parsing THIM document: %w", err)
	}
	return chain, nil
}

func parseTHIM(data []byte) (*Chain, error) {
	members, err := parseMembers(data)
	if err != nil {
		return nil, err
	}
	leaf, err := parseCertificates([]byte(members[thimLeaf]), 1)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", thimLeaf, err)
	}
	issuers, err := parseCertificates([]byte(members[thimIssuers]), 2)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", thimIssuers, err)
	}
	chain, err := newChain(leaf[0], issuers[0], issuers[1])
	if err != nil {
		return nil, err
	}
	chain.tcbm = members[thimTCB]
	return chain, chain.checkTCBM(chain.tcbm)
}

// checkTCBM compares component by component: the layout is the product's.
func (c *Chain) checkTCBM(tcbm string) error {
	raw, err := parseTCBM(tcbm)
	if err != nil {
		return fmt.Errorf("member %s: %w", thimTCB, err)
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

// parseMembers reads the known members of the object, all of them strings.
func parseMembers(data []byte) (map[string]string, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), maxDocument)
	}
	document, err := object.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	members := map[string]string{}
	for _, name := range []string{thimLeaf, thimIssuers, thimTCB, thimCache} {
		value, found := document.Lookup(name)
		text, ok := value.(string)
		switch {
		case !found && name == thimCache: // not all hosts send it
		case !found:
			return nil, fmt.Errorf("member %s is missing", name)
		case !ok:
			return nil, fmt.Errorf("member %s is not a string", name)
		}
		members[name] = text
	}
	return members, nil
}
