package emulator

import (
	"maps"
	"slices"

	"skr/test/emulator/maa"
	"skr/test/emulator/vault"
)

// statementForgeries are the spoilt release statements that a fault rule can
// ask for: "vault/release:forge=alg-none". More is in vault.Defects.
var statementForgeries = map[string]vault.Defects{
	"alg-none":        {Algorithm: "none"},
	"hs256":           {Algorithm: "HS256"},
	"self-signed":     {SelfSigned: true},
	"other-signature": {FlipSignature: true},
	"other-kid":       {OtherKID: "https://other.vault.localhost/keys/other/00000000000000000000000000000000"},
	"other-enc":       {OtherEnc: "CKM_RSA_AES_KEY_WRAP"},
	"wrong-nonce":     {OtherNonce: "0"},
	"other-key":       {MismatchedPrivateKey: true},
	"flip-ciphertext": {FlipCiphertext: true},
	"short-key":       {ShortenCiphertext: 8},
}

func defects(forgery string) vault.Defects { return statementForgeries[forgery] }

// knownForgeries names what each service can spoil.
func knownForgeries() map[string][]string {
	var tokens []string
	for _, f := range maa.Forgeries() {
		tokens = append(tokens, string(f))
	}
	statements := slices.Sorted(maps.Keys(statementForgeries))
	return map[string][]string{
		ServiceAttest:     tokens,
		ServiceRelease:    statements,
		ServiceHSMRelease: statements,
	}
}
