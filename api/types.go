package api

import "log/slog"

// The two messages of [StatusResponse].
const (
	StatusOK    = "Status OK"
	StatusNotOK = "Status NOT OK"
)

// HeaderFallback is on an answer that did not come by the first of the vaults and
// authorities which an alias stands for: its number in their list, from 1.
const HeaderFallback = "X-Skr-Fallback"

// HeaderKeyID is on the answer of a release: the full identifier of the key, with its
// version. The JWK has no kid.
const HeaderKeyID = "X-Skr-Key-Id"

// StatusResponse answers GET /status. The status is 200 also while skr is not ready, as
// clients of the reference sidecar expect; a probe asks [RouteReady].
type StatusResponse struct {
	// Message is StatusOK or StatusNotOK.
	Message string `json:"message"`
	// Problems are the optional parts that skr runs without.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is an optional part that is there and cannot be used.
type Problem struct {
	// Part names it: "UVM endorsement".
	Part string `json:"part"`
	// Problem says why it cannot be used.
	Problem string `json:"problem"`
}

// RawRequest asks for a report alone.
type RawRequest struct {
	// RuntimeData is base64; its SHA-256, decoded, becomes REPORT_DATA.
	RuntimeData string `json:"runtime_data"`
}

// RawResponse answers POST /attest/raw.
type RawResponse struct {
	// Report is the attestation report in lower-case hex (AMD 56860 table 23).
	Report string `json:"report"`
	// HCLReport is standard base64, on a confidential VM alone. There REPORT_DATA of
	// Report is over the runtime claims in it, whose user-data are the SHA-256 of the
	// runtime data and 32 zero bytes.
	HCLReport string `json:"hcl_report,omitempty"`
}

// CombinedRequest asks for all that a Verifier needs.
type CombinedRequest struct {
	// RuntimeData is base64; its SHA-256, decoded, becomes REPORT_DATA.
	RuntimeData string `json:"runtime_data"`
}

// CombinedResponse answers POST /attest/combined. Evidence, Endorsements and
// UVMEndorsements are standard base64.
type CombinedResponse struct {
	// EndorsedTCB is the TCB that the VCEK stands for: 16 hex digits, as the
	// host's certificate service writes its tcbm.
	EndorsedTCB string `json:"endorsed_tcb"`
	// Endorsements are VCEK, ASK and ARK as PEM.
	Endorsements string `json:"endorsements"`
	// Evidence is the attestation report.
	Evidence string `json:"evidence"`
	// UVMEndorsements is the COSE_Sign1 over the utility VM's measurement, ""
	// where the platform gives none that can be used.
	UVMEndorsements string `json:"uvm_endorsements"`
	// VirtualTPM is there on virtual machines with one. With Trusted Launch it is all
	// there is: the other members are "".
	VirtualTPM *VirtualTPM `json:"vtpm,omitempty"`
	// Problems are the optional parts that the evidence goes without.
	Problems []Problem `json:"problems,omitempty"`
}

// VirtualTPM is the word of a virtual TPM about what was started. Its members are
// standard base64; `skrctl vtpm verify` takes them as they are.
type VirtualTPM struct {
	// HCLReport is that of [RawResponse]; "" with Trusted Launch.
	HCLReport string `json:"hcl_report,omitempty"`
	// AKPublic is the attestation key, a TPM2B_PUBLIC.
	AKPublic string `json:"ak_public"`
	// AKCertificate is DER; "" if the TPM has none.
	AKCertificate string `json:"ak_certificate,omitempty"`
	// Quote has the SHA-256 of the runtime data as its nonce.
	Quote Quote `json:"quote"`
	// EventLog is the firmware's; "" if there is none.
	EventLog string `json:"event_log,omitempty"`
}

// Quote is what a TPM signed of its PCRs.
type Quote struct {
	// Message is a TPMS_ATTEST, Signature its RSASSA-PKCS1-v1_5 with SHA-256.
	Message   string `json:"message"`
	Signature string `json:"signature"`
	// PCRs are the values of the SHA-256 bank by the PCR's number.
	PCRs map[string]string `json:"pcrs"`
}

// MAARequest asks for an attestation token.
type MAARequest struct {
	// MAAEndpoint is the authority's host name; "https://" may precede it, "/" follow.
	MAAEndpoint string `json:"maa_endpoint"`
	// RuntimeData is base64 of a JSON object, which the token repeats in x-ms-runtime.
	RuntimeData string `json:"runtime_data"`
}

// MAAResponse answers POST /attest/maa.
type MAAResponse struct {
	// Token is the JWT, whose signature and claims skr has verified.
	Token Secret `json:"token"`
	// Problems are the optional parts that the evidence went without. The token lacks
	// the claims that the authority makes of them.
	Problems []Problem `json:"problems,omitempty"`
}

// ReleaseRequest asks for a key, by an alias that the sidecar's configuration
// has, or by the three names of it.
type ReleaseRequest struct {
	// Alias stands for authority, vault and key, which are then left empty.
	Alias string `json:"alias,omitempty"`
	// MAAEndpoint is the host name of an authority that the key's release policy names.
	MAAEndpoint string `json:"maa_endpoint,omitempty"`
	// AKVEndpoint is the host name of the Key Vault or Managed HSM.
	AKVEndpoint string `json:"akv_endpoint,omitempty"`
	// KID is "name" or "name/version".
	KID string `json:"kid,omitempty"`
	// AccessToken for the vault; empty means the pod's own identity.
	AccessToken Secret `json:"access_token,omitempty"`
}

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r ReleaseRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("alias", r.Alias),
		slog.String("maa_endpoint", r.MAAEndpoint), slog.String("akv_endpoint", r.AKVEndpoint),
		slog.String("kid", r.KID), slog.Any("access_token", r.AccessToken))
}

// ReleaseResponse answers POST /key/release.
type ReleaseResponse struct {
	// Key is a JWK (RFC 7517) as a string that holds JSON. It has no kid: see
	// HeaderKeyID.
	Key Secret `json:"key"`
}

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r ReleaseResponse) LogValue() slog.Value { return slog.GroupValue(slog.Any("key", r.Key)) }

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r MAAResponse) LogValue() slog.Value { return slog.GroupValue(slog.Any("token", r.Token)) }

// Wipe overwrites the access token with zeros.
func (r ReleaseRequest) Wipe() { r.AccessToken.Wipe() }

// Wipe overwrites the key with zeros.
func (r ReleaseResponse) Wipe() { r.Key.Wipe() }

// Wipe overwrites the token with zeros.
func (r MAAResponse) Wipe() { r.Token.Wipe() }

// AppendJSON appends the wire form as encoding/json would write it, but leaves
// no copy of the key in that package's pooled buffers.
func (r ReleaseResponse) AppendJSON(dst []byte) []byte {
	const begin, end = `{"key":`, `}`
	dst = grow(dst, len(begin)+maxJSON(r.Key)+len(end))
	return append(r.Key.AppendJSON(append(dst, begin...)), end...)
}
