package emulator

import (
	"maps"
	"slices"

	"skr/test/emulator/maa"
	"skr/test/emulator/vault"
)

// statementForgeries are the forged release statements that a fault rule can
// request, as in "vault/release:forge=alg-none". vault.Defects has more.
var statementForgeries = map[string]vault.Defects{
	"alg-none":        {Algorithm: "none"},
	"hs256":           {Algorithm: "HS256"},
	"other-alg":       {Algorithm: "RS512"},
	"self-signed":     {SelfSigned: true},
	"other-host":      {}, // handled in defects
	"other-signature": {FlipSignature: true},
	"other-kid":       {OtherKID: "https://other.vault.localhost/keys/other/00000000000000000000000000000000"},
	"other-enc":       {OtherEnc: "CKM_RSA_AES_KEY_WRAP"},
	"wrong-nonce":     {OtherNonce: "0"},
	"other-key":       {MismatchedPrivateKey: true},
	"other-kek":       {OtherWrappingKey: true},
	"flip-ciphertext": {FlipCiphertext: true},
	"short-key":       {ShortenCiphertext: 8},
}

// otherVault has a valid certificate of the same CA, but is not the requested
// vault.
const otherVault = "other.vault.example"

// defects returns the defects of a vault's next release statement.
func (c *Cloud) defects(forgery string) vault.Defects {
	defects := statementForgeries[forgery]
	if forgery != "other-host" {
		return defects
	}
	signer, err := c.authority.StatementSigner(otherVault)
	if err != nil {
		return vault.Defects{SelfSigned: true} // on error the statement must not be valid
	}
	chain, err := parseChain(signer.Chain)
	if err != nil {
		return vault.Defects{SelfSigned: true}
	}
	return vault.Defects{SigningKey: signer.Key, Chain: chain}
}

// knownForgeries lists the forgeries of each service.
func knownForgeries() map[string][]string {
	var tokens []string
	for _, f := range append(maa.Forgeries(), maa.EnvelopeForgeries()...) {
		tokens = append(tokens, string(f))
	}
	statements := StatementForgeries()
	return map[string][]string{
		ServiceAttest:     tokens,
		ServiceRelease:    statements,
		ServiceHSMRelease: statements,
		ServiceQuote:      quoteForgeries(),
		ServicePCS:        collateralForgeries(),
		ServicePCCS:       collateralForgeries(),
		ServiceRegionTHIM: collateralForgeries(),
	}
}

// StatementForgeries lists the forgeries of a vault's release statement.
func StatementForgeries() []string { return slices.Sorted(maps.Keys(statementForgeries)) }
