package doctor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/check"
	"skr/internal/refusal"
)

func (e *examination) machineSteps() []step {
	return []step{
		{name: reportSource, look: e.lookAtSource},
		{name: report, needs: []string{reportSource}, look: e.lookAtReport},
		{name: certificates, needs: []string{reportSource}, look: e.ofChip(e.lookAtCaches)},
		{name: tcb, needs: []string{report}, look: e.lookAtTCB},
		{name: guestPolicy, needs: []string{reportSource}, look: e.lookAtGuestPolicy},
		{name: securityContext, needs: []string{reportSource}, look: e.lookAtContext},
		{name: measuredBoot, needs: []string{report}, look: e.lookAtBoot},
	}
}

const noReport = "with Trusted Launch there is no report of the processor"

// ofChip skips look if the machine has no report of an AMD processor.
func (e *examination) ofChip(look func(context.Context) (check.Result, error)) func(context.Context) (check.Result, error) {
	return func(ctx context.Context) (check.Result, error) {
		switch {
		case e.tdQuote != nil:
			return skip("a TDX quote has its own certificates")
		case e.report == nil:
			return skip(noReport)
		}
		return look(ctx)
	}
}

// lookAtSource gets a report over random data, so that an old report does not pass.
func (e *examination) lookAtSource(ctx context.Context) (found check.Result, err error) {
	if e.platform, err = e.Attester.Platform(ctx); err != nil {
		return check.Result{}, sourceless(err)
	}
	if e.platform == attest.TrustedLaunch {
		return good("%s belongs to a machine with Trusted Launch, which has no report of the processor", e.Attester)
	}
	evidence, err := e.Attester.Report(ctx, []byte(rand.Text()))
	if err != nil {
		return check.Result{}, sourceless(err)
	}
	if e.tdQuote = evidence.TDQuote; e.tdQuote != nil {
		return good("%s gives TDX quotes of version %d%s", e.Attester, e.tdQuote.Version(), e.kind())
	}
	got := evidence.Report
	e.report = got
	return good("%s gives reports of version %d, %s, VMPL %d%s", e.Attester, got.Version(), got.Product(), got.VMPL(), e.kind())
}

// sourceless turns the timeout of a source into a lack of evidence: a source is a device of
// this machine, and not a slow service.
func sourceless(err error) error {
	if refused, ok := errors.AsType[*refusal.Error](err); ok && refused.Kind == refusal.Timeout && refused.Err != nil {
		return refusal.Because(refusal.NoEvidence, refused.Err.Error(), refused.Err)
	}
	return err
}

// kind describes the machine, a container by the endorsement of its utility VM.
func (e *examination) kind() string {
	switch {
	case e.platform == attest.ConfidentialVM, e.platform == attest.ConfidentialTDX:
		return ", confidential VM"
	case e.Context.Endorsement != nil:
		return ", utility VM " + e.Context.Endorsement.Feed()
	}
	return ""
}

// lookAtReport verifies the report, on a virtual machine together with the TPM's evidence.
func (e *examination) lookAtReport(ctx context.Context) (check.Result, error) {
	if e.platform.HasTPM() {
		return e.lookAtTPM(ctx)
	}
	if e.tdQuote != nil {
		evidence, err := e.Attester.Evidence(ctx, []byte(rand.Text()))
		if err != nil {
			return check.Result{}, err
		}
		e.tdResult = evidence.TDResult
		return good("%s", describeQuote(evidence.TDQuote))
	}
	chain, err := e.Endorser.Chain(ctx, e.report)
	if err != nil {
		return check.Result{}, err
	}
	return good("signed by the %s of a %s chip whose certificates lead to the root, valid until %s",
		e.report.SigningKey(), chain.Product(), chain.Expires().UTC().Format("2006-01-02"))
}

// lookAtTCB compares the reported TCB, which the verified chain is for, with the running one.
// A host may run newer firmware than it reports. Policies see the reported one.
func (e *examination) lookAtTCB(context.Context) (check.Result, error) {
	switch {
	case e.tdQuote != nil:
		return e.lookAtLevel()
	case e.report == nil:
		return skip(noReport)
	}
	reported, current := e.report.ReportedTCB(), e.report.CurrentTCB()
	if reported != current {
		return warn("nothing, unless a policy demands the newer levels: the host decides what it reports",
			"the certificate is for the reported TCB %s; the firmware that runs is %s", reported, current)
	}
	return good("certificate, reported and running TCB are %s", reported)
}

func (e *examination) lookAtGuestPolicy(context.Context) (check.Result, error) {
	switch {
	case e.tdQuote != nil:
		return e.lookAtAttributes()
	case e.report == nil:
		return skip(noReport)
	}
	if e.report.Policy().Debug() {
		return warn("deploy without debugging: no policy should release a key to such a machine",
			"the host may read this machine's memory, because it was started with debugging allowed")
	}
	return good("guest policy %s, debugging is not allowed", e.report.Policy())
}

// lookAtContext compares what is mounted with what the hardware says.
func (e *examination) lookAtContext(context.Context) (check.Result, error) {
	if e.platform.HasTPM() {
		return skip("virtual machines have no security context: every pod of the node has the same evidence")
	}
	if e.tdQuote != nil {
		return skip("TDX machines have no security context")
	}
	hostData := e.report.HostData()
	if endorsement := e.Context.Endorsement; endorsement != nil {
		if endorsed, measured := endorsement.Measurement(), e.report.Measurement(); endorsed != measured {
			return warn("mount the security context of this machine, not a copy from another: without its endorsement tokens have no compliance status",
				"the utility VM endorsement is for measurement %s, and this machine's is %s; it is left out", hex.EncodeToString(endorsed[:]), measured)
		}
	}
	if policy := e.Context.Policy; policy != nil && snp.HostData(sha256.Sum256(policy)) != hostData {
		mounted := sha256.Sum256(policy)
		return warn("write release policies for the HOST_DATA, not for the file",
			"the mounted policy has the hash %s, and this machine enforces HOST_DATA %s", hex.EncodeToString(mounted[:]), hostData)
	}
	switch {
	case e.Context.EndorsementErr != nil:
		return warn("mount the security context of this machine, as the platform wrote it: without its endorsement tokens have no compliance status",
			"the utility VM endorsement cannot be used and is left out: %.400s; HOST_DATA is %s", e.Context.EndorsementErr, hostData)
	case e.Context.DirectoryErr != nil && e.Context.Endorsement == nil:
		return warn("mount the security context, or correct security_context_dir",
			"no security context is mounted, %s; HOST_DATA is %s", e.Context.DirectoryErr, hostData)
	case e.Context.Endorsement == nil && e.Context.Policy == nil:
		return warn("on Confidential ACI and Kata mount the security context, or set security_context_dir; other platforms have none",
			"no security context is mounted; HOST_DATA is %s", hostData)
	case e.Context.Endorsement == nil:
		return warn("set reference_info, or mount it as reference-info-base64: without it tokens have no compliance status",
			"there is no utility VM endorsement; HOST_DATA is %s", hostData)
	case e.OtherSilicon:
		return good("the utility VM is endorsed with svn %d, by an issuer for silicon that is not AMD's; HOST_DATA is %s",
			e.Context.Endorsement.GuestSVN(), hostData)
	case !e.Context.Endorsement.KnownIssuer():
		return warn("ask the maker of the utility VM; the authority decides whether it counts",
			"this version does not know the issuer of the utility VM endorsement; HOST_DATA is %s", hostData)
	}
	return good("the utility VM is endorsed with svn %d, HOST_DATA is %s", e.Context.Endorsement.GuestSVN(), hostData)
}
