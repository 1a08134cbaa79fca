package verify

import "slices"

// Names of the rules.
const (
	contents         = "contents"
	snpReport        = "report"
	certificateChain = "certificate chain"
	chipAndTCB       = "chip and TCB"
	reportSignature  = "report signature"
	guestPolicy      = "guest policy"
	privilege        = "privilege level"
	runtimeData      = "runtime data"
	initTimeData     = "init-time data"
	endorsement      = "UVM endorsement"
	measurement      = "UVM measurement"
	tokenSignature   = "token signature"
	issuer           = "issuer"
	times            = "times"
	releasePolicy    = "release policy"
	vaultHost        = "vault"
	signer           = "statement signature"
	attestationKey   = "attestation key"
	quoteSignature   = "quote signature"
	nonce            = "nonce"
	pcrSelection     = "PCR selection"
	pcrValues        = "PCR values"
	pinnedPCRs       = "pinned PCRs"
	eventLog         = "event log"
	secureBoot       = "secure boot"

	launchMeasurement = "launch measurement"
	paravisor         = "paravisor"

	tdQuote      = "TDX quote"
	pckChain     = "PCK certificate"
	qeReport     = "QE report"
	tdSignature  = "TDX signature"
	tdAttributes = "TD attributes"
	tdReport     = "TD report"
	collateral   = "collateral"
	revocation   = "revocation"
	tcbLevel     = "TCB level"
)

// rule describes a check and what to do if it fails.
type rule struct {
	name    string
	subject Subject
	asks    string
	advice  string
}

// rules are in the order of the checks; docs/artefacts.md has the same table.
var rules = []rule{
	{contents, Evidence, "each part that is in the file could be read, and none contradicts another",
		"collect the evidence again; leave out what does not belong to it"},
	{snpReport, Evidence, "there is an SEV-SNP report",
		"give the report: skrctl report show prints what a file holds"},
	{certificateChain, Evidence, "the certificates lead to AMD's root of the product, each valid at the time",
		"give the chain of this machine (VCEK, ASK, ARK) with --chain; for silicon that is not AMD's set amd_roots"},
	{chipAndTCB, Evidence, "the certificate is for CHIP_ID and REPORTED_TCB of the report",
		"after an update of firmware another VCEK is needed: get the chain again, or let skr ask certificate_sources"},
	{reportSignature, Evidence, "the certificate's key signed the report",
		"the report was altered, or the chain belongs to another one: collect both again"},
	{guestPolicy, Evidence, "POLICY allows neither debugging nor migration",
		"do not trust this guest: launch it with a policy that forbids both"},
	{privilege, Evidence, "the report was requested at VMPL 0",
		"less privileged software requested this report: collect it at VMPL 0"},
	{runtimeData, Evidence, "REPORT_DATA (REPORTDATA of TDX) is the SHA-256 of the runtime data, and zeros",
		"hash the exact bytes: white space and order of members count"},
	{initTimeData, Evidence, "HOST_DATA is the SHA-256 of the init-time data or CCE policy",
		"the machine was launched with another policy: compare what was deployed"},
	{endorsement, Evidence, "the endorsement's signature, certificates and did:x509 issuer agree",
		"take reference-info-base64 from this machine's security context again"},
	{measurement, Evidence, "the endorsed measurement is MEASUREMENT of the report",
		"the endorsement is for another utility VM: take both from the same machine"},
	{tdQuote, Evidence, "there is a TDX quote",
		"ask the host for a quote of this TD report, and give both"},
	{pckChain, Evidence, "the certificates in the quote lead to Intel's root, each valid at the time",
		"look at another time with --at; for silicon that is not Intel's set intel_roots"},
	{qeReport, Evidence, "the platform's key signed the report of Intel's quoting enclave, which names the attestation key",
		"the quote was altered, or another enclave made it: ask the host for another quote"},
	{tdSignature, Evidence, "the attestation key signed the quote, and nothing follows it",
		"the quote was altered: ask the host for another one"},
	{tdAttributes, Evidence, "TDATTRIBUTES allow neither debugging nor migration",
		"do not trust this guest: start it without debugging and migration"},
	{tdReport, Evidence, "the quote was made from the TD report that is in the file",
		"take report and quote from one machine, at one time"},
	{collateral, Evidence, "Intel signed the collateral for this platform, and it is complete and in date",
		"get the collateral of this platform's FMSPC again, or name collateral_sources"},
	{revocation, Evidence, "no certificate is in the revocation lists of Intel",
		"do not trust this platform: Intel revoked its key or an authority"},
	{tcbLevel, Evidence, "the TCB level of the platform has a status of tcb_status, and is not revoked",
		"update the host's firmware, or accept the status in tcb_status; on Azure only Microsoft can update it"},
	{issuer, Token, "an authority that is allowed issued the token, by its own word",
		"name the authority with --authority, or allow it in maa_allow"},
	{tokenSignature, Token, "a key of that authority signed the token",
		"the token was altered, its key is no longer published, or the authority cannot be asked: give its keys with --signing-keys"},
	{times, Token, "the token is valid at the time, give or take a minute",
		"get a new token, check this machine's clock, or look at another time with --at"},
	{releasePolicy, Token, "the claims meet the release policy of --policy",
		"skrctl policy explain shows each condition beside the claim"},
	{vaultHost, Statement, "the released key is on the vault that was named",
		"name the vault of the key with --vault"},
	{signer, Statement, "a certificate for the vault's name, valid at the time, signed the statement",
		"name the vault with --vault; for a private CA set ca_file; look at the time of the release with --at"},
	{launchMeasurement, Boot, "MEASUREMENT of the report (MRTD of TDX) is in the policy",
		"the paravisor or firmware is another one: find out which one it is, and add it to measurements"},
	{paravisor, Boot, "ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of the report belongs to a key that signs paravisors, from the policy or built in",
		"pin MEASUREMENT (MRTD of TDX) in measurements or the key in id_keys, once you know that Azure runs this guest"},
	{attestationKey, Boot, "the HCL report's runtime data names the key, or its certificate leads to a trusted root",
		"on a confidential VM take ak: hcl and give the HCL report, on Trusted Launch ak: certificate and the AK's certificate; ak_roots has other roots"},
	{quoteSignature, Boot, "the attestation key signed the quote",
		"the quote is of another key, or was altered: collect the evidence again, from one machine"},
	{nonce, Boot, "the quote has the nonce that was sent",
		"the quote was made earlier or for another verifier: request one with a fresh nonce"},
	{pcrSelection, Boot, "the quote is over the PCRs of selection, no more and no less",
		"quote these PCRs, or change selection in the policy"},
	{pcrValues, Boot, "the values of the PCRs have the digest that was quoted",
		"values and quote are not of one moment: collect both again"},
	{pinnedPCRs, Boot, "the values of the PCRs are in the policy",
		"compare the event log with that of a good start, and pin the new values if they are right"},
	{eventLog, Boot, "the events lead to the pinned PCRs and to PCR 7, which holds secure boot",
		"give binary_bios_measurements of this start, read to its end; PCRs that software extends without it belong in unlogged"},
	{secureBoot, Boot, "secure boot is on: by the log, and by the paravisor",
		"turn secure boot on for this VM, or look at why its firmware starts anything"},
}

func adviceOn(name string) string {
	at := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if at < 0 {
		return ""
	}
	return rules[at].advice
}
