package artefact

import (
	"bytes"
	"time"

	"skr/attest/vcek"
)

// chain is leaf, intermediate and root of a chip.
type chain struct{ *vcek.Chain }

// readChain takes certificates that begin with a VCEK and its issuers. A VCEK
// alone is a certificate like others.
func readChain(in input) (content, error) {
	if !bytes.HasPrefix(in.text, pemBegin) {
		return nil, errOther
	}
	all, err := parsePEM(in.text)
	if err != nil || len(all) != 3 || !vcek.IsLeaf(all[0]) {
		return nil, errOther
	}
	parsed, err := vcek.ParsePEM(in.text)
	if err != nil {
		return nil, err
	}
	return chain{parsed}, nil
}

func readTHIM(in input) (content, error) {
	if !in.has("vcekCert", "certificateChain") {
		return nil, errOther
	}
	parsed, err := vcek.ParseTHIM(in.text)
	if err != nil {
		return nil, err
	}
	return chain{parsed}, nil
}

func (c chain) evidence() Evidence { return Evidence{Chain: c.Chain} }

func (c chain) sections(now time.Time) []Section {
	s := Section{Title: "Chain"}
	s.add("product", c.Product().String(), "line of processors")
	s.add("tcbm", c.TCBM(), c.TCB().String()+": what the chip's key was derived for")
	if remark := c.Remark(); remark != "" {
		s.add("remark", remark, "nothing rests on it: the certificate counts")
	}
	s.addExpiry("usable until", c.Expires(), now, "the first certificate ends")
	return append([]Section{s}, certificates(c.Certificates()).sections(now)...)
}
