package vcek

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"skr/attest/snp"
)

// kdsSource is AMD's Key Distribution Service (AMD 57230, chapter KDS Interface). It
// serves VCEKs. AMD gives VLEKs to cloud providers only.
type kdsSource struct {
	client HTTPClient
	base   string

	mu      sync.Mutex
	issuers map[snp.Product]issuers
}

// issuers are ASK and ARK of a product line, which KDS calls cert_chain.
type issuers struct{ intermediate, root *x509.Certificate }

// NewKDSSource returns a source that asks below base, usually https://kdsintf.amd.com.
func NewKDSSource(client HTTPClient, base string) Source {
	return &kdsSource{client: client, base: strings.TrimSuffix(base, "/"), issuers: map[snp.Product]issuers{}}
}

// String implements [Source].
func (s *kdsSource) String() string { return "AMD KDS" }

var errNoVLEK = &unusableError{errors.New("it serves VLEK certificates to cloud providers only")}

// Chain implements [Source]. A version 2 report does not name its product. Then it asks
// for Milan and Genoa, which share a layout and are older than version 3.
func (s *kdsSource) Chain(ctx context.Context, wanted Wanted) (*Chain, error) {
	if wanted.Signer == snp.VLEK {
		return nil, errNoVLEK
	}
	chip, tcb := wanted.Chip, wanted.TCB
	if tcb.Product() != snp.ProductUnknown {
		return s.chain(ctx, chip, snp.NewTCB(tcb.Raw(), tcb.Product()))
	}
	chain, err := s.chain(ctx, chip, snp.NewTCB(tcb.Raw(), snp.Milan))
	if _, unknown := errors.AsType[statusError](err); !unknown {
		return chain, err
	}
	return s.chain(ctx, chip, snp.NewTCB(tcb.Raw(), snp.Genoa))
}

func (s *kdsSource) chain(ctx context.Context, chip snp.ChipID, tcb snp.TCB) (*Chain, error) {
	leaf, err := s.leaf(ctx, chip, tcb)
	if err != nil {
		return nil, fmt.Errorf("VCEK of %s: %w", tcb.Product(), err)
	}
	issuers, err := s.issuersOf(ctx, leaf, tcb.Product())
	if err != nil {
		return nil, fmt.Errorf("cert_chain of %s: %w", tcb.Product(), err)
	}
	return newChain(leaf, issuers.intermediate, issuers.root)
}

func (s *kdsSource) leaf(ctx context.Context, chip snp.ChipID, tcb snp.TCB) (*x509.Certificate, error) {
	der, err := fetch(ctx, s.client, s.leafURL(chip, tcb), nil)
	if err != nil {
		return nil, err
	}
	if len(der) > maxDocument {
		return nil, fmt.Errorf("%d bytes are more than %d", len(der), maxDocument)
	}
	return x509.ParseCertificate(der)
}

func (s *kdsSource) leafURL(chip snp.ChipID, tcb snp.TCB) string {
	c := tcb.Components()
	query := fmt.Sprintf("blSPL=%d&teeSPL=%d&snpSPL=%d&ucodeSPL=%d", c.Bootloader, c.TEE, c.SNP, c.Microcode)
	if tcb.Product() == snp.Turin {
		query = fmt.Sprintf("fmcSPL=%d&", c.FMC) + query
	}
	return fmt.Sprintf("%s/vcek/v1/%s/%x?%s", s.base, tcb.Product(), chip.HWID(tcb.Product()), query)
}

// issuersOf asks once per product line, because issuers are valid for decades. It caches
// issuers only if they belong together and the leaf verifies with them, so that a bad
// answer is not kept.
func (s *kdsSource) issuersOf(ctx context.Context, leaf *x509.Certificate, p snp.Product) (issuers, error) {
	s.mu.Lock()
	kept, ok := s.issuers[p]
	s.mu.Unlock()
	if ok && checkLink(leaf, kept.intermediate) == nil {
		return kept, nil
	}
	text, err := fetch(ctx, s.client, fmt.Sprintf("%s/vcek/v1/%s/cert_chain", s.base, p), nil)
	if err != nil {
		return issuers{}, err
	}
	certificates, err := parseCertificates(text, 2)
	if err != nil {
		return issuers{}, err
	}
	fresh := issuers{certificates[0], certificates[1]}
	if err := errors.Join(checkLink(leaf, fresh.intermediate), checkLink(fresh.intermediate, fresh.root)); err != nil {
		return issuers{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers[p] = fresh
	return fresh, nil
}
