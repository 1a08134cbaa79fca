package maa

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"skr/attest/vtpm"
)

// attestGuest serves POST /attest/AzureGuest: parse, verify, apply the policy,
// sign, and seal to the key of the machine's TPM
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClient).
func (i *Instance) attestGuest(r *http.Request) (any, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	submitted, err := parseGuestRequest(r)
	if err != nil {
		return nil, err
	}
	verified, err := i.verifyGuest(submitted)
	if err != nil {
		return nil, err
	}
	if err := i.policies.of("azureguest").authorize(); err != nil {
		return nil, err
	}
	forgery := i.forgery()
	token, err := i.issue(i.guestClaims(verified), forgery)
	if err != nil {
		return nil, fmt.Errorf("maa: issuing a token: %w", err)
	}
	sealed, err := seal(token, verified.tpm.key.rsa, forgery)
	if err != nil {
		return nil, fmt.Errorf("maa: sealing a token: %w", err)
	}
	return map[string]string{"token": base64.RawURLEncoding.EncodeToString(sealed)}, nil
}

// guestEvidence is a guest's verified submission.
type guestEvidence struct {
	*guestSubmission
	isolation *evidence // nil for Trusted Launch
	machine   machineClaims
	boot      boot
}

// verifyGuest follows the chain of trust: the processor vouches for the AK, the
// AK for the PCRs and the key, and the PCRs for the log.
func (i *Instance) verifyGuest(s *guestSubmission) (*guestEvidence, error) {
	e := &guestEvidence{guestSubmission: s}
	for _, step := range []func(*guestEvidence) error{
		i.verifyIsolation,
		i.trustAK,
		(*guestEvidence).verifyQuote,
		(*guestEvidence).verifyKey,
		(*guestEvidence).replayLog,
	} {
		if err := step(e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// verifyIsolation verifies as SevSnpVm does, with the HCL's claims as runtime
// data.
func (i *Instance) verifyIsolation(e *guestEvidence) (err error) {
	if e.snp == nil {
		return nil
	}
	if e.isolation, err = i.verify(e.snp); err != nil {
		return err
	}
	e.machine, err = parseMachineClaims(e.snp.runtime.raw)
	return err
}

// trustAK checks the AK. A confidential machine's AK must be the one in the
// HCL's claims; its certificate is ignored. With Trusted Launch only the
// certificate vouches for it.
func (i *Instance) trustAK(e *guestEvidence) error {
	if e.isolation != nil {
		if !e.tpm.ak.rsa.Equal(e.machine.ak) {
			return invalid("The AikPub is not the HCLAkPub of the RunTimeData.")
		}
		return nil
	}
	certificate, err := vtpm.ParseAKCertificate(e.tpm.certificate)
	if err != nil {
		return invalid("The AikCert cannot be verified: %v", err)
	}
	if !certificate.Key().Equal(e.tpm.ak.rsa) {
		return invalid("The AikCert is for another key than the AikPub.")
	}
	return i.verifyCertificate(certificate)
}

func (i *Instance) verifyCertificate(certificate *vtpm.AKCertificate) error {
	err := errors.New("the emulator has no authorities of TPMs")
	if i.config.AKRoots != nil {
		for _, roots := range i.config.AKRoots() {
			if err = certificate.Verify(roots, nil, i.config.Now()); err == nil {
				return nil
			}
		}
	}
	return invalid("The AikCert cannot be verified: %v", err)
}
