package inspect

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// expected describes what belongs under a name that tools give to a part of evidence.
type expected struct {
	// as is the part that is missing if this one cannot be read.
	as Kind
	// kinds are those that are accepted; nil means any, for names that tools use for
	// different things.
	kinds []Kind
	// binds is the field of the report that the bytes are bound through; 0 if they are not.
	binds binding
}

// binding is a field of a report that holds the hash of other data.
type binding int

const (
	reportData binding = iota + 1
	hostData
)

var (
	chainKinds = []Kind{Chain, THIM, Certificates}
	ofReport   = expected{as: Report}
	ofHCL      = expected{as: HCLReport, kinds: []Kind{HCLReport}}
	ofChain    = expected{as: Chain, kinds: chainKinds}
	ofUVM      = expected{as: Endorsement, kinds: []Kind{Endorsement}}
	ofQuote    = expected{as: Quote, kinds: []Kind{Quote, TDXQuote}} // evidence of TDX has its quote under the same name
	ofTDX      = expected{as: TDXQuote, kinds: []Kind{TDXQuote, TDXReport}}
	ofTDReport = expected{as: TDXReport, kinds: []Kind{TDXQuote, TDXReport}}
	ofPCRs     = expected{as: PCRs, kinds: []Kind{PCRs}}
	ofLog      = expected{as: EventLog, kinds: []Kind{EventLog}}
	ofAK       = expected{as: Certificates, kinds: []Kind{Certificates}}
	ofRuntime  = expected{binds: reportData}
	ofInitTime = expected{binds: hostData}
)

// known are names of parts, in lower case and without separators. They are the names in
// this program's API, of the files in a UVM security context, of requests to
// Azure Attestation, and of confidential-containers/trustee (deps/verifier, az-snp-vtpm),
// Azure/azure-cleanroom (src/cvm) and microsoft/scitt-ccf-ledger (tests of attestations).
var known = map[string]expected{
	"report": ofReport, "snpreport": ofReport, "attestationreport": ofReport, "attestation": ofReport, "evidence": ofReport,
	"hclreport": ofHCL, "hcl": ofHCL,
	"tdquote": ofTDX, "tdreport": ofTDReport,

	"endorsements": {as: Chain}, "snpendorsements": ofChain, "platformcertificates": ofChain, "vcek": ofChain, "vcekcert": ofChain,
	"vcekcertificate": ofChain, "vcekcertchain": ofChain, "vlek": ofChain, "certchain": ofChain, "certificatechain": ofChain,
	"hostamdcert": ofChain, "chain": ofChain,

	"uvmendorsement": ofUVM, "uvmendorsements": ofUVM, "referenceinfo": ofUVM,
	"uvmreferenceinfo": ofUVM,

	"quote": ofQuote, "tpmquote": ofQuote,
	"pcrs":     ofPCRs,
	"eventlog": ofLog, "tcgeventlog": ofLog, "binarybiosmeasurements": ofLog,
	"akcert": ofAK, "akcertificate": ofAK, "aikcert": ofAK, "aikcertificate": ofAK,

	"runtimedata": ofRuntime, "runtimeclaims": ofRuntime,
	"inittimedata": ofInitTime, "securitypolicy": ofInitTime, "ccepolicy": ofInitTime,

	"token": {as: MAAToken}, "maatoken": {as: MAAToken},
}

// encodings are endings of names, and say how a part is encoded.
var encodings = []string{"base64", "b64", "hex", "pem", "der", "raw", "bin", "cose", "json"}

// expect returns what belongs under a member's name.
func expect(name string) (expected, bool) {
	words := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	if e, found := known[words]; found {
		return e, true
	}
	for _, encoding := range encodings {
		if bare, found := strings.CutSuffix(words, encoding); found {
			e, known := known[bare]
			return e, known
		}
	}
	return expected{}, false
}

// expectFile returns what a file should be by its name, without its extension.
func expectFile(name string) (expected, bool) {
	return expect(strings.TrimSuffix(name, filepath.Ext(name)))
}

// unreadableError is the error for a part whose name says what it is, and that cannot be
// read as that.
type unreadableError struct {
	text  string
	cause error
}

func (e *unreadableError) Error() string { return e.text }
func (e *unreadableError) Unwrap() error { return e.cause }

// compare returns an error if something is not what is expected under a known name. err is
// the reason why it could not be recognised.
func (e expected) compare(found Artefact, err error) error {
	switch {
	case errors.Is(err, errOther) && e.as == "":
		return &unreadableError{"it cannot be read", err}
	case errors.Is(err, errOther):
		return &unreadableError{"it cannot be read as: " + e.as.Name(), err}
	case err != nil || e.kinds == nil || found.holds(e.kinds):
		return err
	}
	return &unreadableError{fmt.Sprintf("it is: %s; want: %s", found, e.as.Name()), nil}
}

// holds reports whether the artefact, or one that it consists of, is of one of the kinds.
func (a Artefact) holds(kinds []Kind) bool {
	parts, _ := a.content.(bundle)
	return slices.Contains(kinds, a.kind) || slices.ContainsFunc(parts, func(p part) bool {
		return p.err == nil && slices.Contains(kinds, p.found.kind)
	})
}

// boundData returns the bytes that a report binds: JSON as it is written, or decoded hex or
// base64. Hex comes first, because its digits are also base64 of other bytes. It returns nil
// for an object, whose exact bytes are lost.
func boundData(value any) ([]byte, error) {
	decoders := []func([]byte) ([]byte, bool){decodeHex, decodeBase64}
	if members, is := value.(map[string]any); is {
		if value, is = members["data"]; !is { // {"data": …, "dataType": …} of requests to MAA
			return nil, nil
		}
		decoders = decoders[1:]
	}
	if data, ok := bytesOf(value); ok && len(data) > 0 && !isText(value) {
		return data, nil
	}
	text, _ := value.(string)
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return []byte(text), nil
	}
	for _, decode := range decoders {
		if data, ok := decode([]byte(text)); ok && len(data) > 0 {
			return data, nil
		}
	}
	return nil, &unreadableError{"it is neither JSON nor base64", nil}
}

func isText(value any) bool {
	_, is := value.(string)
	return is
}
