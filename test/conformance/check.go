package conformance

import (
	"errors"
	"strings"
)

// Result is the result of a check.
type Result string

// The results of a check.
const (
	Same    Result = "same"    // the answers are as the check expects
	Differs Result = "differs" // an answer is not
	Skipped Result = "skipped" // the check was not made, for the reason that the outcome has
	Failed  Result = "failed"  // the service gave no answer to judge
)

// check is one question to a service.
type check struct {
	name    string
	source  string // where the expectation is written, or unconfirmed and what is assumed
	write   bool   // it changes the vault
	machine bool   // it needs evidence of a machine
	run     func(*probe) error
}

// unconfirmed begins the source of an assumption.
const unconfirmed = "UNCONFIRMED: "

// Sources of expectations. A recording is traffic of the real services in the tests of an Azure SDK.
const (
	specMAA     = "Azure REST API specifications, attestation/data-plane"
	specKeys    = "Azure REST API specifications, keyvault/data-plane, keys"
	docMAAError = "https://learn.microsoft.com/azure/attestation/troubleshoot-guide"
	docClaims   = "https://learn.microsoft.com/azure/attestation/claim-sets"
	docKeys     = "https://learn.microsoft.com/azure/key-vault/keys/about-keys"
	docDetails  = "https://learn.microsoft.com/azure/key-vault/keys/about-keys-details"
	docAuth     = "https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses"
	docGrammar  = "https://learn.microsoft.com/azure/key-vault/keys/policy-grammar"
	docRotation = "https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation"
	docDeletion = "https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview"
	docBackup   = "https://learn.microsoft.com/azure/key-vault/general/backup"
	docEvidence = "https://learn.microsoft.com/azure/key-vault/managed-hsm/key-attestation"
	recordedGo  = "recordings of the Azure SDK for Go, keyvault/azkeys"
	recordedJS  = "recordings of the Azure SDK for JavaScript, keyvault-keys"
	observed    = "answers of Azure Attestation that were published in 2026"
)

// difference is an answer that is not as expected.
type difference struct{ found []string }

func (d *difference) Error() string { return strings.Join(d.found, "; ") }

// skip is the reason why a check is not made.
type skip struct{ reason string }

func (s *skip) Error() string { return s.reason }

// one returns the run function of a check that makes one request.
func one(r request, w want) func(*probe) error {
	return func(p *probe) error {
		_, err := p.ask(r, w)
		return err
	}
}

// resultOf returns the result that an error of a check stands for.
func resultOf(err error) (Result, string, []string) {
	if err == nil {
		return Same, "", nil
	}
	if d, is := errors.AsType[*difference](err); is {
		return Differs, "", d.found
	}
	if s, is := errors.AsType[*skip](err); is {
		return Skipped, s.reason, nil
	}
	return Failed, err.Error(), nil
}
