package maa

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
	"skr/internal/jose/jwk"
)

// machineClaims are the HCL's claims about the machine (microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs).
type machineClaims struct {
	ak         *rsa.PublicKey
	vmID       string
	secureBoot bool
}

func parseMachineClaims(runtimeData []byte) (machineClaims, error) {
	var wire struct {
		Configuration struct {
			SecureBoot bool   `json:"secure-boot"`
			VMID       string `json:"vmUniqueId"`
		} `json:"vm-configuration"`
	}
	set, err := jwk.ParseSet(runtimeData)
	if err != nil {
		return machineClaims{}, invalid("The RunTimeData holds no keys: %v", err)
	}
	if err := json.Unmarshal(runtimeData, &wire); err != nil {
		return machineClaims{}, invalid("The RunTimeData holds a member of the wrong type.")
	}
	m := machineClaims{vmID: wire.Configuration.VMID, secureBoot: wire.Configuration.SecureBoot}
	m.ak, err = hclKey(set)
	return m, err
}

func hclKey(set jwk.Set) (*rsa.PublicKey, error) {
	var found []jwk.Key
	for _, key := range set.Keys {
		if key.Kid == "HCLAkPub" {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return nil, invalid("The RunTimeData holds %d keys HCLAkPub, want 1.", len(found))
	}
	public, err := found[0].PublicKey()
	if key, ok := public.(*rsa.PublicKey); ok && err == nil {
		return key, nil
	}
	return nil, invalid("The HCLAkPub of the RunTimeData is not an RSA key.")
}

// verifyQuote accepts any qualifying data: Microsoft's client sends none.
func (e *guestEvidence) verifyQuote() error {
	for _, err := range []error{
		e.tpm.quote.VerifySignature(e.tpm.ak.rsa),
		e.tpm.quote.CheckSelection(e.tpm.selection),
		e.tpm.quote.CheckPCRs(e.tpm.pcrs),
	} {
		if err != nil {
			return invalid("The PcrQuote cannot be verified: %v", err)
		}
	}
	return nil
}

// verifyKey binds a token for this key to this machine: the AK certifies that
// the key is in its TPM, and the key's policy restricts its use to the quoted
// state.
func (e *guestEvidence) verifyKey() error {
	for _, err := range []error{
		e.tpm.certification.VerifySignature(e.tpm.ak.rsa),
		e.tpm.certification.CheckKey(e.tpm.key.raw),
	} {
		if err != nil {
			return invalid("The EncKeyCertifyInfo cannot be verified: %v", err)
		}
	}
	if problem := attributeProblem(e.tpm.key.area.ObjectAttributes); problem != "" {
		return invalid("The EncKeyPub is not as it must be: %s.", problem)
	}
	policy, err := e.tpm.keyPolicy()
	if err != nil {
		return err
	}
	if !bytes.Equal(policy, e.tpm.key.area.AuthPolicy.Buffer) {
		return invalid("The EncKeyPub is not bound to the PCRs: its authPolicy is not PolicyPCR of the PcrSet.")
	}
	return nil
}

// attributeProblem returns what is wrong with a key's attributes, or "". A key
// that can leave the TPM, that a password opens, or that is restricted, is
// refused. UNCONFIRMED: which attributes the service checks.
func attributeProblem(a tpm2.TPMAObject) string {
	switch {
	case !a.FixedTPM:
		return "fixedTPM is clear"
	case !a.FixedParent:
		return "fixedParent is clear"
	case !a.Decrypt:
		return "decrypt is clear"
	case a.Restricted:
		return "restricted is set"
	case a.UserWithAuth:
		return "userWithAuth is set"
	}
	return ""
}

// keyPolicy returns the digest of PolicyPCR over the quoted values ("TPM 2.0
// Library", Part 3, section TPM2_PolicyPCR).
func (t *tpmEvidence) keyPolicy() ([]byte, error) {
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	digest := t.quote.Digest()
	bitmap := []byte{byte(t.selection), byte(t.selection >> 8), byte(t.selection >> 16)}
	err = tpm2.PolicyPCR{
		PcrDigest: tpm2.TPM2BDigest{Buffer: digest[:]},
		Pcrs:      tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bitmap}}},
	}.Update(calculator)
	return calculator.Hash().Digest, err
}

// boot is the log's information about the start. The zero value means no log.
type boot struct {
	secureBoot bool
	vmID       string
}

// firmwarePCRs are the registers that the firmware's log covers. Later software
// extends the others without an entry.
const firmwarePCRs = vtpm.Selection(0xff)

// replayLog accepts a missing log and refuses one that does not match. Both are
// UNCONFIRMED.
func (e *guestEvidence) replayLog() error {
	log, err := vtpm.ParseEventLog(e.log)
	if errors.Is(err, vtpm.ErrNoLog) {
		return nil
	}
	if err != nil {
		return invalid("The TcgLogs cannot be read: %v", err)
	}
	quoted := e.tpm.selection & firmwarePCRs
	if err := log.Explain(e.tpm.pcrs, quoted); err != nil {
		return invalid("The TcgLogs do not match the PCRs: %v", err)
	}
	e.boot = boot{secureBoot: quoted.Has(vtpm.SecureBootPCR) && secureBoot(log)}
	if quoted.Has(identityPCR) {
		e.boot.vmID = loggedVMID(log)
	}
	return nil
}

// secureBoot is false if the log does not mention secure boot.
func secureBoot(log *vtpm.EventLog) bool {
	state, err := log.SecureBoot()
	return err == nil && state.Enabled
}

// identityPCR is the register in which Hyper-V's firmware measures the
// machine's identifier (microsoft/mu_msvm, VmMeasurementDxe).
const identityPCR = 6

func loggedVMID(log *vtpm.EventLog) string {
	for _, event := range log.Events() {
		text, is := strings.CutPrefix(string(event.Data), "UUID: ")
		if is && event.PCR == identityPCR && event.Digest == sha256.Sum256(event.Data) {
			return strings.TrimRight(text, "\x00")
		}
	}
	return ""
}
