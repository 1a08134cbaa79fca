package main

import (
	"skr/internal/sidecar/parties"
	"skr/keyrelease"
)

// assembleReleaser joins the parties of a release, each decorated with the journal.
func (p *sidecar) assembleReleaser(s *settings) {
	p.releaser = keyrelease.New(keyrelease.Config{
		Attester: p.attester, Verifier: parties.Verifier(p.verifier),
		Identity: parties.Identity(p.identity, p.out.public.Connect), Vault: parties.Vault(p.vault),
		Describer: p.vault, Unwrap: parties.Unwrap, Looked: parties.Looked,
		KEKBits: s.KEKBits, AttestationMaxAge: s.AttestationMaxAge, KeyTTL: s.KeyCacheTTL, KeyMaxStale: s.MaxStale,
		Timeout: s.RequestTimeout,
	})
}
