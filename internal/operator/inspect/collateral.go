package inspect

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"regexp"
	"strconv"
	"time"

	"skr/attest/tdx"
)

// collateral is what Intel publishes about platforms: all of it in one file, or a part.
type collateral struct{ *tdx.Collateral }

// collateralMembers are those of a file with all parts: see [tdx.ParseCollateral].
var collateralMembers = []string{
	"tcb_info", "tcb_info_signature", "tcb_info_issuer_chain", "qe_identity", "qe_identity_signature", "qe_identity_issuer_chain", "pck_crl",
	"pck_crl_issuer_chain", "root_ca_crl", "pck_certificate_chain",
}

// collateralYAML matches the name of a member at the start of a line.
var collateralYAML = regexp.MustCompile(`(?m)^(tcb_info|qe_identity|pck_crl|root_ca_crl):`)

func recogniseCollateral(in input) (content, error) {
	isJSON := in.has("tcb_info") || in.has("qe_identity") || in.has("pck_crl") || in.has("root_ca_crl")
	if !isJSON && (in.text == nil || in.isObject || !collateralYAML.Match(in.text)) {
		return nil, errOther
	}
	parsed, err := tdx.ParseCollateral(in.text)
	if err != nil {
		return nil, err
	}
	return collateral{parsed}, nil
}

func recogniseTCBInfo(in input) (content, error) {
	if !in.has("tcbInfo", "signature") {
		return nil, errOther
	}
	parsed, err := tdx.ParseTCBInfo(in.text, nil)
	if err != nil {
		return nil, err
	}
	return collateral{&tdx.Collateral{TCBInfo: parsed}}, nil
}

func recogniseQEIdentity(in input) (content, error) {
	if !in.has("enclaveIdentity", "signature") {
		return nil, errOther
	}
	parsed, err := tdx.ParseQEIdentity(in.text, nil)
	if err != nil {
		return nil, err
	}
	return collateral{&tdx.Collateral{QEIdentity: parsed}}, nil
}

// crl is a list of revoked certificates of any authority.
type crl struct{ *tdx.CRL }

func recogniseCRL(in input) (content, error) {
	if block, _ := pem.Decode(in.text); block == nil || block.Type != "X509 CRL" {
		der, ok := sequence(in.raw)
		if !ok {
			return nil, errOther
		}
		if _, err := x509.ParseRevocationList(der); err != nil {
			return nil, errOther // DER of something else
		}
	}
	parsed, err := tdx.ParseCRL(bytes.TrimRight(in.raw, "\x00"))
	if err != nil {
		return nil, err
	}
	return crl{parsed}, nil
}

func (c collateral) evidence() Evidence { return Evidence{Collateral: c.Collateral} }

// evidence returns Intel's lists only.
func (c crl) evidence() Evidence {
	switch {
	case c.IsRoot():
		return Evidence{Collateral: &tdx.Collateral{RootCRL: c.CRL}}
	case c.IsPCK():
		return Evidence{Collateral: &tdx.Collateral{PCKCRL: c.CRL}}
	}
	return Evidence{}
}

func (c collateral) sections(now time.Time) []Section {
	var all []Section
	if t := c.TCBInfo; t != nil {
		s := Section{Title: "TCB info, not verified here"}
		fmspc := t.FMSPC()
		s.add("FMSPC", hex.EncodeToString(fmspc[:]), "kind of platform that it is for")
		s.add("evaluation", strconv.Itoa(t.EvaluationNumber()), "number of Intel's evaluation")
		s.addPeriod(t.Valid, now)
		s.addLevels(t.Levels())
		all = append(all, s)
	}
	if e := c.QEIdentity; e != nil {
		s := Section{Title: "Identity of the quoting enclave, not verified here"}
		s.add("evaluation", strconv.Itoa(e.EvaluationNumber()), "number of Intel's evaluation")
		s.addPeriod(e.Valid, now)
		s.addLevels(e.Levels())
		all = append(all, s)
	}
	for _, list := range []*tdx.CRL{c.PCKCRL, c.RootCRL} {
		if list != nil {
			all = append(all, crl{list}.sections(now)...)
		}
	}
	return all
}

func (c crl) sections(now time.Time) []Section {
	s := Section{Title: "Revoked certificates of " + c.Issuer() + ", not verified here"}
	s.add("revoked", strconv.Itoa(c.Revoked()), "certificates in the list")
	s.addPeriod(c.Valid, now)
	return []Section{s}
}

// addPeriod adds the times between which something is valid.
func (s *Section) addPeriod(valid func() (from, to time.Time), now time.Time) {
	from, to := valid()
	s.addTime("issued", from, now, "not valid before this")
	s.addExpiry("next update", to, now, "there is a newer one after this")
}

// addLevels adds the statuses by what a platform must have.
func (s *Section) addLevels(levels []tdx.LevelText) {
	for _, l := range levels {
		s.add(l.Needs, string(l.Status), l.Date.UTC().Format(time.DateOnly))
	}
}
