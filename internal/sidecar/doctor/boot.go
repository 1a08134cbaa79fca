package doctor

import (
	"context"

	"skr/attest"
	"skr/attest/vtpm"
)

// lookAtTPM has the TPM's evidence verified: the attestation key, the quote, and the
// key that vaults wrap to.
func (e *examination) lookAtTPM(ctx context.Context) (finding, error) {
	evidence, err := e.Attester.Evidence(ctx, nil)
	if err != nil {
		return finding{}, err
	}
	e.guest = evidence
	for _, o := range evidence.Omitted {
		if o.Part == attest.AKCertificate {
			return warn("nothing: the processor's report names the key, and nothing rests on the certificate",
				"the certificate of the attestation key cannot be read, and is left out: %s", o.Err)
		}
	}
	if evidence.Report == nil {
		return good("the attestation key has a certificate of Azure's, and signs the quote and the key that vaults wrap to")
	}
	return good("signed by the %s of a %s chip whose certificates lead to the root, valid until %s; it names the attestation key of the TPM",
		evidence.Report.SigningKey(), evidence.Chain.Product(), evidence.Chain.Expires().UTC().Format("2006-01-02"))
}

// lookAtBoot tells apart what looks the same in a token: no log, another log, and
// secure boot that is off. Releases may work all the same.
func (e *examination) lookAtBoot(context.Context) (finding, error) {
	if e.guest == nil {
		return skip("no virtual TPM stands between the chip and this container")
	}
	const unseen = "the authority cannot tell that secure boot is on"
	guest := e.guest.Guest
	if guest.LogErr != nil {
		return warn("let the container read event_log, or take it from `skr agent`; `skrctl vtpm show` tells what a log has",
			"%s, because the event log cannot be read: %s", unseen, guest.LogErr)
	}
	log, err := vtpm.ParseEventLog(guest.Log)
	if err == nil {
		err = log.Explain(guest.PCRs, 1<<vtpm.SecureBootPCR)
	}
	if err != nil {
		return warn("mount the kernel's securityfs and set event_log; `skrctl vtpm show` tells what a log has", "%s: %s", unseen, err)
	}
	state, err := log.SecureBoot()
	switch {
	case err != nil:
		return warn("`skrctl vtpm show` tells what the log has", "%s: %s", unseen, err)
	case !state.Enabled:
		return warn("start the machine with secure boot: policies that demand it are not met", "secure boot is off: %s", state.Reason)
	case log.Explain(guest.PCRs, allPCRs) != nil:
		return warn("`skrctl vtpm verify` tells which events are missing", "secure boot is on, but %s", log.Explain(guest.PCRs, allPCRs))
	}
	return good("secure boot is on, and the event log explains PCR %s", allPCRs)
}

// vouchedGuest tells what a token says of a virtual machine.
func (e *examination) vouchedGuest(authority attest.Authority, result *attest.Result) (finding, error) {
	secure := "without secure boot"
	if on, _ := result.Claims.Lookup("secureboot"); on == true {
		secure = "with secure boot"
	}
	if e.platform == attest.TrustedLaunch {
		return good("%s vouches for this machine as \"azurevm\", started %s", authority, secure)
	}
	compliance, told := result.Claims.Text("x-ms-isolation-tee.x-ms-compliance-status")
	if !told {
		return warn("ask Azure: policies that ask for the compliance status are not met",
			"%s vouches for this machine as \"azurevm\", started %s, without a compliance status: it does not know the firmware", authority, secure)
	}
	return good("%s vouches for this machine as \"azurevm\", %q, started %s", authority, compliance, secure)
}

// allPCRs are those of the evidence.
const allPCRs vtpm.Selection = 0xff
