package doctor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/refusal"
)

func (e *examination) machineChecks() []check {
	return []check{
		{name: reportSource, look: e.lookAtSource},
		{name: report, needs: []string{reportSource}, look: e.lookAtReport},
		{name: tcb, needs: []string{report}, look: e.ofChip(e.lookAtTCB)},
		{name: guestPolicy, needs: []string{reportSource}, look: e.ofChip(e.lookAtGuestPolicy)},
		{name: securityContext, needs: []string{reportSource}, look: e.lookAtContext},
		{name: measuredBoot, needs: []string{report}, look: e.lookAtBoot},
	}
}

// ofChip looks only where there is a report of the processor.
func (e *examination) ofChip(look func(context.Context) (finding, error)) func(context.Context) (finding, error) {
	return func(ctx context.Context) (finding, error) {
		if e.report == nil {
			return skip("with Trusted Launch there is no report of the processor")
		}
		return look(ctx)
	}
}

// lookAtSource gets a report over random data, so that no old one passes.
func (e *examination) lookAtSource(ctx context.Context) (found finding, err error) {
	if e.platform, err = e.Attester.Platform(ctx); err != nil {
		return finding{}, sourceless(err)
	}
	if e.platform == attest.TrustedLaunch {
		return good("%s is that of a machine with Trusted Launch, which has no report of the processor", e.Attester)
	}
	evidence, err := e.Attester.Report(ctx, []byte(rand.Text()))
	if err != nil {
		return finding{}, sourceless(err)
	}
	got := evidence.Report
	e.report = got
	return good("%s gives reports of version %d, %s, VMPL %d%s", e.Attester, got.Version(), got.Product(), got.VMPL(), e.kind())
}

// sourceless: a source that says nothing in time is none, and not a slow service.
func sourceless(err error) error {
	if refused, ok := errors.AsType[*refusal.Error](err); ok && refused.Kind == refusal.Timeout && refused.Err != nil {
		return refusal.Because(refusal.NoEvidence, refused.Err.Error(), refused.Err)
	}
	return err
}

// kind of machine, for people: containers are known by who endorsed their utility VM.
func (e *examination) kind() string {
	switch {
	case e.platform == attest.ConfidentialVM:
		return ", confidential VM"
	case e.Context.Endorsement != nil:
		return ", utility VM " + e.Context.Endorsement.Feed()
	}
	return ""
}

// lookAtReport also has the virtual TPM vouched for, where there is one.
func (e *examination) lookAtReport(ctx context.Context) (finding, error) {
	if e.platform.HasTPM() {
		return e.lookAtTPM(ctx)
	}
	chain, err := e.Endorser.Chain(ctx, e.report)
	if err != nil {
		return finding{}, err
	}
	return good("signed by the %s of a %s chip whose certificates lead to the root, valid until %s",
		e.report.SigningKey(), chain.Product(), chain.Expires().UTC().Format("2006-01-02"))
}

// lookAtTCB: a chain that verified has the report's TCB. That the host runs
// newer firmware than it reports is not wrong, but policies see the older one.
func (e *examination) lookAtTCB(context.Context) (finding, error) {
	reported, current := e.report.ReportedTCB(), e.report.CurrentTCB()
	if reported != current {
		return warn("nothing, unless a policy wants the newer levels: the host decides what it reports",
			"the certificate is for the reported TCB %s; the firmware that runs is %s", reported, current)
	}
	return good("certificate, reported and running TCB are %s", reported)
}

func (e *examination) lookAtGuestPolicy(context.Context) (finding, error) {
	if e.report.Policy().Debug() {
		return warn("deploy without debugging: no policy should release a key to such a machine",
			"the host may read this machine's memory, because it was started with debugging allowed")
	}
	return good("guest policy %s, debugging is not allowed", e.report.Policy())
}

// lookAtContext compares what is mounted with what the hardware says.
func (e *examination) lookAtContext(context.Context) (finding, error) {
	if e.platform.HasTPM() {
		return skip("virtual machines have none: every pod of the node has the same evidence")
	}
	hostData := e.report.HostData()
	if endorsement := e.Context.Endorsement; endorsement != nil {
		if endorsed, measured := endorsement.Measurement(), e.report.Measurement(); endorsed != measured {
			return warn("mount the security context of this machine, not a copy from another: without its endorsement tokens have no compliance status",
				"the utility VM endorsement is for measurement %s, and this machine's is %s, so that it is left out", hex.EncodeToString(endorsed[:]), measured)
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
		return warn("on Confidential ACI and Kata mount the security context, or set security_context_dir; elsewhere there is none",
			"no security context is mounted; HOST_DATA is %s", hostData)
	case e.Context.Endorsement == nil:
		return warn("set reference_info, or mount it as reference-info-base64: without it tokens have no compliance status",
			"there is no utility VM endorsement; HOST_DATA is %s", hostData)
	case e.OtherSilicon:
		return good("the utility VM is endorsed with svn %d, by an issuer for silicon that is not AMD's; HOST_DATA is %s",
			e.Context.Endorsement.GuestSVN(), hostData)
	case !e.Context.Endorsement.KnownIssuer():
		return warn("ask the maker of the utility VM; the authority decides whether it counts",
			"the utility VM endorsement is not by an issuer that this version knows; HOST_DATA is %s", hostData)
	}
	return good("the utility VM is endorsed with svn %d, HOST_DATA is %s", e.Context.Endorsement.GuestSVN(), hostData)
}
