package doctor

import (
	"context"

	"skr/attest"
	"skr/attest/vtpm"
	"skr/internal/check"
)

// allPCRs are the PCRs of the evidence.
const allPCRs vtpm.Selection = 0xff

// lookAtTPM verifies the TPM's evidence: the attestation key, the quote, and the key that
// vaults wrap to.
func (e *examination) lookAtTPM(ctx context.Context) (check.Result, error) {
	evidence, err := e.Attester.Evidence(ctx, nil)
	if err != nil {
		return check.Result{}, err
	}
	e.guest, e.tdResult = evidence, evidence.TDResult
	for _, o := range evidence.Omitted {
		if o.Part == attest.AKCertificate {
			return warn("nothing: the processor's report names the key, and nothing depends on the certificate",
				"the certificate of the attestation key cannot be read, and is left out: %s", o.Err)
		}
	}
	switch {
	case evidence.TDQuote != nil:
		return good("%s; it names the attestation key of the TPM", describeQuote(evidence.TDQuote))
	case evidence.Report == nil:
		return good("Azure has certified the attestation key, which signs the quote and the key that vaults wrap to")
	}
	return good("signed by the %s of a %s chip whose certificates lead to the root, valid until %s; it names the attestation key of the TPM",
		evidence.Report.SigningKey(), evidence.Chain.Product(), evidence.Chain.Expires().UTC().Format("2006-01-02"))
}

// lookAtBoot distinguishes what looks the same in a token: no log, a log that does not
// match, and secure boot that is off. None of them stops every release.
func (e *examination) lookAtBoot(context.Context) (check.Result, error) {
	if e.guest == nil {
		return skip("this machine has no virtual TPM")
	}
	const unseen = "the authority cannot see that secure boot is on"
	guest := e.guest.Guest
	if guest.LogErr != nil {
		return warn("let the container read event_log, or get it from `skr agent`; `skrctl show` prints what a log contains",
			"%s, because the event log cannot be read: %s", unseen, guest.LogErr)
	}
	log, err := vtpm.ParseEventLog(guest.Log)
	if err == nil {
		err = log.Explain(guest.PCRs, 1<<vtpm.SecureBootPCR)
	}
	if err != nil {
		return warn("mount the kernel's securityfs and set event_log; `skrctl show` prints what a log contains", "%s: %s", unseen, err)
	}
	state, err := log.SecureBoot()
	switch {
	case err != nil:
		return warn("`skrctl show` prints what the log contains", "%s: %s", unseen, err)
	case !state.Enabled:
		return warn("start the machine with secure boot: it does not meet policies that demand it", "secure boot is off: %s", state.Reason)
	case log.Explain(guest.PCRs, allPCRs) != nil:
		return warn("`skrctl verify` names the events that are missing", "secure boot is on, but %s", log.Explain(guest.PCRs, allPCRs))
	}
	return good("secure boot is on, and the event log explains PCR %s", allPCRs)
}

// describeGuest says what a token says about a virtual machine.
func (e *examination) describeGuest(authority attest.Authority, result *attest.Result) (check.Result, error) {
	secure := "without secure boot"
	if on, _ := result.Claims.Lookup("secureboot"); on == true {
		secure = "with secure boot"
	}
	if e.platform == attest.TrustedLaunch {
		return good("%s vouches for this machine as \"azurevm\", started %s", authority, secure)
	}
	compliance, found := result.Claims.Text("x-ms-isolation-tee.x-ms-compliance-status")
	if !found {
		return warn("ask Azure: this machine does not meet policies that demand the compliance status",
			"%s vouches for this machine as \"azurevm\", started %s, without a compliance status: it does not know the firmware", authority, secure)
	}
	return good("%s vouches for this machine as \"azurevm\", %q, started %s", authority, compliance, secure)
}
