package maa

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
)

// DefaultPolicy is the built-in policy of SevSnpVm. Every default-policy token
// seen from 2022 to 2026 has its hash.
const DefaultPolicy = "version= 1.0;authorizationrules{=> permit();};"

// policy is an unconditional permit or deny. parsePolicy refuses conditions and
// issuance rules.
type policy struct {
	text    string
	hash    string
	permits bool
	token   string // in which the policy was set; "" for an initial policy
}

// policyForm is the supported form: Azure documentation,
// articles/attestation/claim-rule-grammar.
var policyForm = regexp.MustCompile(`^\s*version\s*=\s*1\.[012]\s*;` +
	`\s*authorizationrules\s*\{\s*=>\s*(permit|deny)\s*\(\s*\)\s*;\s*\}\s*;` +
	`(?:\s*issuancerules\s*\{\s*\}\s*;)?\s*$`)

func parsePolicy(text string) (policy, error) {
	match := policyForm.FindStringSubmatch(text)
	if match == nil {
		return policy{}, errors.New("maa: the emulator supports only policies that permit or deny all, such as " + DefaultPolicy)
	}
	return policy{text: text, hash: policyHash(text), permits: match[1] == "permit"}, nil
}

// policyHash returns x-ms-policy-hash: the SHA-256 of the text's base64url
// form, which is how a JWS carries a policy (checked against real tokens).
func policyHash(text string) string {
	carried := base64.RawURLEncoding.EncodeToString([]byte(text))
	sum := sha256.Sum256([]byte(carried))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p policy) authorize() error {
	if p.permits {
		return nil
	}
	return refuse(codePolicyEvaluation, "Native operation failed with 65518: the policy denies this evidence. Policy Evaluation Error has occurred")
}
