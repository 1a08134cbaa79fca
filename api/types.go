package api

import "log/slog"

// The two messages of [StatusResponse].
const (
	StatusOK    = "Status OK"
	StatusNotOK = "Status NOT OK"
)

// HeaderFallback is the header for which fallback of an alias answered, counted from 1.
// It is missing if the first vault and authority of the alias did.
const HeaderFallback = "X-Skr-Fallback"

// HeaderKeyID is the header of a release for the full identifier of the key, with its
// version. The JWK has no kid.
const HeaderKeyID = "X-Skr-Key-Id"

// The headers of a release if the sidecar keeps released keys. HeaderCache is a
// [CacheState], HeaderAge the time since the vault released the key, in seconds.
const (
	HeaderCache = "X-Cache"
	HeaderAge   = "Age"
)

// StatusResponse answers GET /status. The HTTP status is 200 even if skr is not ready, as
// clients of the reference sidecar expect. Probes should use [RouteReady].
type StatusResponse struct {
	// Message is StatusOK or StatusNotOK.
	Message string `json:"message"`
	// Problems are the optional parts that skr cannot use.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is an optional part that is present and cannot be used.
type Problem struct {
	// Part is the name, such as "UVM endorsement".
	Part string `json:"part"`
	// Problem is the reason.
	Problem string `json:"problem"`
}

// RawRequest requests a report without endorsements.
type RawRequest struct {
	// RuntimeData is base64; its SHA-256, decoded, becomes REPORT_DATA.
	RuntimeData string `json:"runtime_data"`
}

// RawResponse answers POST /attest/raw.
type RawResponse struct {
	// Report is the attestation report in lower-case hex (AMD 56860 table 23); "" on Intel
	// TDX.
	Report string `json:"report"`
	// TDQuote is the TDX quote, standard base64; "" except on Intel TDX.
	TDQuote string `json:"td_quote,omitempty"`
	// HCLReport is standard base64; "" except on a confidential VM. There REPORT_DATA
	// of Report (REPORTDATA of TDQuote) covers the runtime claims in HCLReport, and their
	// user-data is the SHA-256 of the runtime data followed by 32 zero bytes.
	HCLReport string `json:"hcl_report,omitempty"`
}

// CombinedRequest requests all that a Verifier needs.
type CombinedRequest struct {
	// RuntimeData is base64; its SHA-256, decoded, becomes REPORT_DATA.
	RuntimeData string `json:"runtime_data"`
}

// CombinedResponse answers POST /attest/combined. Evidence, Endorsements and
// UVMEndorsements are standard base64.
type CombinedResponse struct {
	// EndorsedTCB is the TCB of the VCEK: 16 hex digits, in the form of tcbm of the
	// host's certificate service.
	EndorsedTCB string `json:"endorsed_tcb"`
	// Endorsements are VCEK, ASK and ARK as PEM.
	Endorsements string `json:"endorsements"`
	// Evidence is the attestation report.
	Evidence string `json:"evidence"`
	// TDQuote is the TDX quote, which has its own certificates; "" except on Intel TDX. There
	// EndorsedTCB, Endorsements, Evidence and UVMEndorsements are "".
	TDQuote string `json:"td_quote,omitempty"`
	// UVMEndorsements is the COSE_Sign1 over the utility VM's measurement; "" if the
	// platform provides no usable one.
	UVMEndorsements string `json:"uvm_endorsements"`
	// VirtualTPM is nil on machines without a virtual TPM. With Trusted Launch it is
	// the only evidence: the other members are "".
	VirtualTPM *VirtualTPM `json:"vtpm,omitempty"`
	// Problems are the optional parts that the evidence lacks because they cannot be used.
	Problems []Problem `json:"problems,omitempty"`
}

// VirtualTPM is the evidence of a virtual TPM about what was started. Its members are
// standard base64. `skrctl verify` accepts them as they are.
type VirtualTPM struct {
	// HCLReport is as in [RawResponse]; "" with Trusted Launch.
	HCLReport string `json:"hcl_report,omitempty"`
	// AKPublic is the attestation key, a TPM2B_PUBLIC.
	AKPublic string `json:"ak_public"`
	// AKCertificate is DER; "" if the TPM has none.
	AKCertificate string `json:"ak_certificate,omitempty"`
	// Quote has the SHA-256 of the runtime data as its nonce.
	Quote Quote `json:"quote"`
	// EventLog is the firmware's event log; "" if there is none.
	EventLog string `json:"event_log,omitempty"`
}

// Quote is a TPM's signed statement about its PCRs.
type Quote struct {
	// Message is a TPMS_ATTEST, Signature its RSASSA-PKCS1-v1_5 with SHA-256.
	Message   string `json:"message"`
	Signature string `json:"signature"`
	// PCRs are the values of the SHA-256 bank by PCR number.
	PCRs map[string]string `json:"pcrs"`
}

// MAARequest requests an attestation token.
type MAARequest struct {
	// MAAEndpoint is the authority's host name, optionally with "https://" before it and "/" after it.
	MAAEndpoint string `json:"maa_endpoint"`
	// RuntimeData is base64 of a JSON object, which the token repeats in x-ms-runtime.
	RuntimeData string `json:"runtime_data"`
}

// MAAResponse answers POST /attest/maa.
type MAAResponse struct {
	// Token is the JWT, whose signature and claims skr has verified.
	Token Secret `json:"token"`
	// Problems are the optional parts that the evidence lacked because they cannot be
	// used. The token lacks the claims that the authority derives from them.
	Problems []Problem `json:"problems,omitempty"`
}

// ReleaseRequest requests a key, by an alias of the sidecar's configuration or by
// authority, vault and key.
type ReleaseRequest struct {
	// Alias stands for authority, vault and key, which must then be empty.
	Alias string `json:"alias,omitempty"`
	// Version is the version of the alias's key, such as the one that a ciphertext was made
	// with; empty means the first version that the alias gives, by default the newest.
	// It goes with Alias only.
	Version string `json:"version,omitempty"`
	// MAAEndpoint is the host name of an authority that the key's release policy names.
	MAAEndpoint string `json:"maa_endpoint,omitempty"`
	// AKVEndpoint is the host name of the Key Vault or Managed HSM.
	AKVEndpoint string `json:"akv_endpoint,omitempty"`
	// KID is "name" or "name/version".
	KID string `json:"kid,omitempty"`
	// AccessToken is for the vault; empty means the pod's own identity.
	AccessToken Secret `json:"access_token,omitempty"`
}

// LogValue redacts, as a JSON handler of log/slog would print the wire form.
func (r ReleaseRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("alias", r.Alias), slog.String("version", r.Version),
		slog.String("maa_endpoint", r.MAAEndpoint), slog.String("akv_endpoint", r.AKVEndpoint),
		slog.String("kid", r.KID), slog.Any("access_token", r.AccessToken))
}

// ReleaseResponse answers POST /key/release.
type ReleaseResponse struct {
	// Key is a JWK (RFC 7517), as a string that contains JSON. It has no kid: see
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

// AppendJSON appends the wire form that encoding/json writes, but leaves no copy of the
// key in that package's pooled buffers.
func (r ReleaseResponse) AppendJSON(dst []byte) []byte {
	const begin, end = `{"key":`, `}`
	dst = grow(dst, len(begin)+maxJSON(r.Key)+len(end))
	return append(r.Key.AppendJSON(append(dst, begin...)), end...)
}
