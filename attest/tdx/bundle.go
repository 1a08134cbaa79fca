package tdx

import (
	"bytes"
	"fmt"

	"skr/internal/strictjson"
	"skr/internal/strictyaml"
)

// bundle is collateral in one file, by the names of Phala-Network/dcap-qvl
// (QuoteCollateralV3), which other tools use, too. The documents are texts, so that their
// exact bytes are kept. Signatures and lists are hexadecimal digits.
type bundle struct {
	PCKCRLIssuerChain     string `json:"pck_crl_issuer_chain"`
	RootCACRL             string `json:"root_ca_crl"`
	PCKCRL                string `json:"pck_crl"`
	TCBInfoIssuerChain    string `json:"tcb_info_issuer_chain"`
	TCBInfo               string `json:"tcb_info"`
	TCBInfoSignature      string `json:"tcb_info_signature"`
	QEIdentityIssuerChain string `json:"qe_identity_issuer_chain"`
	QEIdentity            string `json:"qe_identity"`
	QEIdentitySignature   string `json:"qe_identity_signature"`
	PCKCertificateChain   string `json:"pck_certificate_chain"`
}

// ParseCollateral parses collateral in one file of JSON or YAML with the members tcb_info,
// tcb_info_signature, tcb_info_issuer_chain, qe_identity, qe_identity_signature,
// qe_identity_issuer_chain, pck_crl and root_ca_crl. Parts may be left out, but not all. The
// certificates pck_crl_issuer_chain and pck_certificate_chain are not used, because the quote
// has its own. The error wraps [ErrCollateralMalformed].
func ParseCollateral(text []byte) (*Collateral, error) {
	c, err := parseCollateral(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCollateralMalformed, err)
	}
	return c, nil
}

func parseCollateral(text []byte) (*Collateral, error) {
	var b bundle
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		err = strictjson.Decoder{}.Decode(text, &b)
	} else {
		err = strictyaml.Decode(text, &b)
	}
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	return b.collateral()
}

func (b bundle) collateral() (*Collateral, error) {
	c := &Collateral{}
	if b.TCBInfo != "" {
		document, err := newDocument(b.TCBInfo, b.TCBInfoSignature, b.TCBInfoIssuerChain)
		if err == nil {
			c.TCBInfo, err = newTCBInfo(document)
		}
		if err != nil {
			return nil, fmt.Errorf("tcb_info: %w", err)
		}
	}
	if b.QEIdentity != "" {
		document, err := newDocument(b.QEIdentity, b.QEIdentitySignature, b.QEIdentityIssuerChain)
		if err == nil {
			c.QEIdentity, err = newQEIdentity(document)
		}
		if err != nil {
			return nil, fmt.Errorf("qe_identity: %w", err)
		}
	}
	for _, list := range []struct {
		name, text string
		into       **CRL
	}{{"pck_crl", b.PCKCRL, &c.PCKCRL}, {"root_ca_crl", b.RootCACRL, &c.RootCRL}} {
		if list.text == "" {
			continue
		}
		var err error
		if *list.into, err = ParseCRL([]byte(list.text)); err != nil {
			return nil, fmt.Errorf("%s: %w", list.name, err)
		}
	}
	if len(c.Missing()) == len(c.parts()) {
		return nil, errEmptyCollateral
	}
	return c, nil
}
