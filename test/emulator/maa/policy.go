package maa

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
)

// DefaultPolicy is the built-in policy of SevSnpVm. Its hash is in every
// default-policy token seen from 2022 to 2026.
const DefaultPolicy = "version= 1.0;authorizationrules{=> permit();};"

// policy is what the emulator understands of a policy: the unconditional
// permit or deny. Conditions and issuance rules are refused by parsePolicy.
type policy struct {
	hash    string
	permits bool
}

// policyForm: Azure documentation, articles/attestation/claim-rule-grammar.
var policyForm = regexp.MustCompile(`^\s*version\s*=\s*1\.[012]\s*;` +
	`\s*authorizationrules\s*\{\s*=>\s*(permit|deny)\s*\(\s*\)\s*;\s*\}\s*;` +
	`(?:\s*issuancerules\s*\{\s*\}\s*;)?\s*$`)

func parsePolicy(text string) (policy, error) {
	match := policyForm.FindStringSubmatch(text)
	if match == nil {
		return policy{}, errors.New("maa: the emulator understands only the policies that permit or deny all, like " + DefaultPolicy)
	}
	return policy{hash: policyHash(text), permits: match[1] == "permit"}, nil
}

// policyHash is x-ms-policy-hash: SHA-256 of the base64url form of the text,
// which is how a policy is carried in its JWS (checked on real tokens).
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
