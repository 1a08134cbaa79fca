package inspect

import (
	"slices"
	"time"

	"skr/attest/vcek"
)

// chain is leaf, intermediate and root of a chip or a provider.
type chain struct{ *vcek.Chain }

// recogniseChain accepts a VCEK or VLEK, alone or with its issuers in any order. A certificate
// whose issuers are missing and are not AMD's is recognised as any other certificate.
func recogniseChain(in input) (content, error) {
	all, err := certificatesIn(in)
	if err != nil || !slices.ContainsFunc(all, vcek.IsLeaf) {
		return nil, errOther
	}
	parsed, err := vcek.NewChain(all...)
	switch {
	case err == nil:
		return chain{parsed}, nil
	case len(all) == 3 && vcek.IsLeaf(all[0]):
		return nil, err
	}
	return nil, errOther
}

func recogniseTHIM(in input) (content, error) {
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
	if completed := c.Completed(); completed != "" {
		s.add("completed with", completed, "which did not come with the leaf")
	}
	if remark := c.Remark(); remark != "" {
		s.add("remark", remark, "nothing rests on it: the certificate counts")
	}
	s.addExpiry("usable until", c.Expires(), now, "the first certificate ends")
	return append([]Section{s}, certificates(c.Certificates()).sections(now)...)
}
