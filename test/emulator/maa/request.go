package maa

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"skr/attest/snp"
	"skr/attest/vcek"
)

const maxBody = 1 << 20 // a real request is about 30 kB

// wireRequest is the wire form: Azure REST API specification, attestation,
// AttestSevSnpVmRequest.
type wireRequest struct {
	Report       string          `json:"report"`
	RuntimeData  *wireData       `json:"runtimeData"`
	InitTimeData *wireData       `json:"initTimeData"`
	DraftPolicy  string          `json:"draftPolicyForAttestation"`
	Nonce        json.RawMessage `json:"nonce"`
}

type wireData struct {
	Data     string `json:"data"`
	DataType string `json:"dataType"`
}

type wireEvidence struct {
	SnpReport     string
	VcekCertChain string
	Endorsements  string
}

type wireEndorsements struct{ Uvm []string }

// submission is a well-formed, unverified request.
type submission struct {
	report            *snp.Report
	chain             *vcek.Chain
	endorsements      [][]byte // COSE_Sign1
	runtime, initTime boundData
	nonce             string // "" if none was sent
}

// boundData is data that the report binds. A nil raw means that none was sent.
type boundData struct {
	raw    []byte
	claims any // the decoded object if the type is JSON
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, invalid("The body cannot be read.")
	}
	if len(body) > maxBody {
		return nil, invalid("The body is larger than %d bytes.", maxBody)
	}
	return body, nil
}

func parseRequest(r *http.Request) (*submission, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	var wire wireRequest
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, invalid("The body is not a JSON object of the right form: %v", err)
	}
	return parseSubmission(&wire)
}

func parseSubmission(wire *wireRequest) (*submission, error) {
	if wire.Report == "" {
		return nil, invalid("The report is required.")
	}
	if wire.DraftPolicy != "" {
		return nil, invalid("The emulator does not support draftPolicyForAttestation.")
	}
	s := new(submission)
	if err := s.parseEvidence(wire.Report); err != nil {
		return nil, err
	}
	var err error
	if s.runtime, err = parseData("runtimeData", wire.RuntimeData); err != nil {
		return nil, err
	}
	if s.initTime, err = parseData("initTimeData", wire.InitTimeData); err != nil {
		return nil, err
	}
	s.nonce, err = parseNonce(wire.Nonce)
	return s, err
}

func (s *submission) parseEvidence(report string) error {
	var wire wireEvidence
	if err := decodeObject("report", report, &wire); err != nil {
		return err
	}
	if err := s.parseReport(wire.SnpReport, wire.VcekCertChain, decode); err != nil {
		return err
	}
	return s.parseEndorsements(wire.Endorsements)
}

// parseReport parses report and chain. decode accepts the base64 form of the
// request's path.
func (s *submission) parseReport(report, chain string, decode func(name, text string) ([]byte, error)) error {
	raw, err := decode("SnpReport", report)
	if err != nil {
		return err
	}
	if s.report, err = snp.Parse(raw); err != nil {
		return invalid("The SnpReport is malformed: %v", err)
	}
	text, err := decode("VcekCertChain", chain)
	if err != nil {
		return err
	}
	if s.chain, err = vcek.ParsePEM(text); err != nil {
		return invalid("The VcekCertChain is malformed: %v", err)
	}
	return nil
}

func (s *submission) parseEndorsements(text string) error {
	if text == "" {
		return nil
	}
	var wire wireEndorsements
	if err := decodeObject("Endorsements", text, &wire); err != nil {
		return err
	}
	for _, item := range wire.Uvm {
		cose, err := decode("Uvm", item)
		if err != nil {
			return err
		}
		s.endorsements = append(s.endorsements, cose)
	}
	return nil
}

func decodeObject(name, text string, into any) error {
	raw, err := decode(name, text)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return invalid("The %s is not a JSON object of the right form.", name)
	}
	return nil
}

// parseData treats an empty data member as none, because clients in use send
// {"data":"","dataType":""}. Only the type JSON becomes a claim; Binary is only
// checked against the report (UNCONFIRMED: the claim that it would become).
func parseData(name string, wire *wireData) (boundData, error) {
	if wire == nil || wire.Data == "" {
		return boundData{}, nil
	}
	raw, err := decode(name, wire.Data)
	if err != nil {
		return boundData{}, err
	}
	switch strings.ToLower(wire.DataType) {
	case "json":
		claims, err := parseClaims(raw)
		if err != nil {
			return boundData{}, invalid("The %s is not a JSON object.", name)
		}
		return boundData{raw, claims}, nil
	case "binary":
		return boundData{raw: raw}, nil
	}
	return boundData{}, invalid("The dataType of %s must be JSON or Binary.", name)
}

// parseClaims keeps numbers as they are written.
func parseClaims(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var claims map[string]any
	if err := dec.Decode(&claims); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("unexpected data after the object")
	}
	if claims == nil {
		return nil, errors.New("the object is missing")
	}
	return claims, nil
}

// parseNonce accepts a string, as the specification says, and a whole number,
// as drop-in clients send. It keeps the digits.
func parseNonce(raw json.RawMessage) (string, error) {
	text := string(raw)
	switch {
	case text == "" || text == "null":
		return "", nil
	case text[0] == '"':
		var nonce string
		err := json.Unmarshal(raw, &nonce)
		return nonce, err
	case strings.Trim(text, "0123456789") == "":
		return text, nil
	}
	return "", invalid("The nonce must be a string or a whole number.")
}
