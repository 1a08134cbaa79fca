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

// StatusResponse answers GET /status, with 200 also while skr is not ready.
type StatusResponse struct {
	// Message is StatusOK or StatusNotOK.
	Message string `json:"message"`
}

// RawRequest asks for a report alone.
type RawRequest struct {
	// RuntimeData is standard base64, padded; its SHA-256 becomes REPORT_DATA.
	RuntimeData string `json:"runtime_data"`
}

// RawResponse answers POST /attest/raw.
type RawResponse struct {
	// Report is the attestation report in lower-case hex (AMD 56860 table 23).
	Report string `json:"report"`
}

// CombinedRequest asks for all that a Verifier needs.
type CombinedRequest struct {
	// RuntimeData is standard base64, padded; its SHA-256 becomes REPORT_DATA.
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
	// where the platform gives none.
	UVMEndorsements string `json:"uvm_endorsements"`
}

// MAARequest asks for an attestation token.
type MAARequest struct {
	// MAAEndpoint is the authority's host name, "https://" may precede it.
	MAAEndpoint string `json:"maa_endpoint"`
	// RuntimeData is standard base64, padded; the token repeats it in x-ms-runtime.
	RuntimeData string `json:"runtime_data"`
}

// MAAResponse answers POST /attest/maa.
type MAAResponse struct {
	// Token is the JWT, whose signature and claims skr has verified.
	Token Secret `json:"token"`
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
	// Key is a JWK (RFC 7517) as a string that holds JSON.
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
