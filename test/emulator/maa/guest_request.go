package maa

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"skr/internal/strictjson"
)

// Values of IsolationInfo.Type.
const (
	isolationSNP           = "SevSnp"
	isolationTDX           = "Tdx"
	isolationTrustedLaunch = "TrustedLaunch"
)

// protocolVersion is the only known version.
const protocolVersion = "2.0"

// wireGuest is the wire form of AttestationInfo
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClient/lib,
// AttestationParameters). Octets are base64 in either alphabet: clients differ,
// and the service accepts both.
type wireGuest struct {
	AttestationProtocolVersion     string
	OSType, OSDistro, OSBuild      string
	OSVersionMajor, OSVersionMinor json.RawMessage
	TcgLogs                        string
	ClientPayload                  map[string]string
	TpmInfo                        wireTPM
	IsolationInfo                  wireIsolation
}

type wireIsolation struct {
	Type     string
	Evidence *wireIsolationEvidence
}

type wireIsolationEvidence struct{ Proof, RunTimeData string }

// guestSubmission is a well-formed, unverified request to AzureGuest.
type guestSubmission struct {
	system  system
	payload map[string]string // base64 values, as sent
	log     []byte            // the firmware's event log; empty if none was sent
	tpm     *tpmEvidence

	// The processor's evidence: one of them, or none for Trusted Launch.
	snp *submission
	td  *tdSubmission
}

// runtimeData returns the HCL's claims.
func (s *guestSubmission) runtimeData() []byte {
	if s.td != nil {
		return s.td.runtime.raw
	}
	return s.snp.runtime.raw
}

// system is what the guest claims about its operating system. It is never
// verified.
type system struct {
	kind, distribution, build string
	major, minor              uint64
}

func parseGuestRequest(r *http.Request) (*guestSubmission, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return parseGuest(body)
}

func parseGuest(body []byte) (*guestSubmission, error) {
	var outer struct{ AttestationInfo string }
	if err := decodeExact("body", body, &outer); err != nil {
		return nil, err
	}
	info, err := decode("AttestationInfo", outer.AttestationInfo)
	if err != nil {
		return nil, err
	}
	var wire wireGuest
	if err := decodeExact("AttestationInfo", info, &wire); err != nil {
		return nil, err
	}
	return wire.parse()
}

// decodeExact decodes one object and refuses unknown and duplicate members.
func decodeExact(name string, text []byte, into any) error {
	if err := (strictjson.Decoder{}).Check(text); err != nil {
		return invalid("The %s %v.", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return invalid("The %s is not a JSON object of the right form: %v", name, err)
	}
	return nil
}

func (w *wireGuest) parse() (s *guestSubmission, err error) {
	if w.AttestationProtocolVersion != protocolVersion {
		return nil, invalid("The AttestationProtocolVersion %q is not supported.", w.AttestationProtocolVersion)
	}
	s = &guestSubmission{payload: w.ClientPayload}
	if s.system, err = w.parseSystem(); err != nil {
		return nil, err
	}
	if w.TcgLogs != "" {
		if s.log, err = decodeEither("TcgLogs", w.TcgLogs); err != nil {
			return nil, err
		}
	}
	for name, value := range w.ClientPayload {
		if _, err := decodeEither("value of "+strconv.Quote(name)+" in the ClientPayload", value); err != nil && value != "" {
			return nil, err
		}
	}
	if s.tpm, err = w.TpmInfo.parse(); err != nil {
		return nil, err
	}
	return s, w.IsolationInfo.parse(s)
}

func (w *wireGuest) parseSystem() (s system, err error) {
	for _, member := range []struct {
		name, text string
		into       *string
	}{{"OSType", w.OSType, &s.kind}, {"OSDistro", w.OSDistro, &s.distribution}, {"OSBuild", w.OSBuild, &s.build}} {
		raw, err := decodeEither(member.name, member.text)
		if err != nil {
			return s, err
		}
		*member.into = string(raw)
	}
	if s.major, err = parseNumber("OSVersionMajor", w.OSVersionMajor); err != nil {
		return s, err
	}
	s.minor, err = parseNumber("OSVersionMinor", w.OSVersionMinor)
	return s, err
}

// parseNumber also accepts a number in a string, as Microsoft's Python client
// sends it.
func parseNumber(name string, raw json.RawMessage) (uint64, error) {
	text := string(raw)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, invalid("The %s must be a whole number.", name)
	}
	return number, nil
}

func (w *wireIsolation) parse(s *guestSubmission) error {
	isolated := w.Type == isolationSNP || w.Type == isolationTDX
	switch {
	case !isolated && w.Type != isolationTrustedLaunch:
		return invalid("The Type %q of IsolationInfo is not known.", w.Type)
	case (w.Evidence != nil) != isolated:
		return invalid("IsolationInfo must have Evidence for %s and %s, and for nothing else.", isolationSNP, isolationTDX)
	case !isolated:
		return nil
	}
	runtime, err := w.Evidence.parseRuntime()
	if err != nil {
		return err
	}
	if w.Type == isolationTDX {
		s.td = &tdSubmission{runtime: runtime}
		return s.td.parseQuote("Proof", w.Evidence.Proof, decodeEither)
	}
	s.snp = &submission{runtime: runtime}
	return w.Evidence.parseReport(s.snp)
}

// parseReport parses the Proof of SEV-SNP. That of TDX is a bare quote.
func (w *wireIsolationEvidence) parseReport(s *submission) error {
	proof, err := decodeEither("Proof", w.Proof)
	if err != nil {
		return err
	}
	var wire struct{ SnpReport, VcekCertChain string }
	if err := decodeExact("Proof", proof, &wire); err != nil {
		return err
	}
	return s.parseReport(wire.SnpReport, wire.VcekCertChain, decodeEither)
}

func (w *wireIsolationEvidence) parseRuntime() (d boundData, err error) {
	if d.raw, err = decodeEither("RunTimeData", w.RunTimeData); err != nil {
		return d, err
	}
	if d.claims, err = parseClaims(d.raw); err != nil {
		return d, invalid("The RunTimeData is not a JSON object.")
	}
	return d, nil
}

// isWindows reports whether the guest claims to run Windows.
func (s system) isWindows() bool { return strings.EqualFold(s.kind, "Windows") }
