package inspect

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/strictjson"
)

// request is the body of a request for a token of an SEV-SNP machine (Azure REST
// API specification, attestation/data-plane, AttestSevSnpVmRequest). All in it is
// base64url.
type request struct {
	found Evidence
	nonce any
	inner map[string]any // members beside the report that are not used
}

func recogniseRequest(in input) (content, error) {
	encoded, ok := in.object.Text("report")
	if !in.isObject || !ok {
		return nil, errOther
	}
	text, ok := decodeBase64([]byte(encoded))
	if !ok {
		return nil, errOther
	}
	inner, err := strictjson.Parse(text)
	if err != nil {
		return nil, errOther // "report" of something else
	}
	if _, found := inner.Lookup("SnpReport"); !found {
		return nil, errOther
	}
	r := &request{}
	r.nonce, _ = in.object.Lookup("nonce")
	return r, r.parse(in.object, inner)
}

func (r *request) parse(outer, inner strictjson.Object) error {
	raw, err := decoded(inner, "SnpReport")
	if err != nil {
		return err
	}
	if r.found.Report, err = snp.Parse(raw); err != nil {
		return err
	}
	if r.found.RuntimeData, err = decoded(outer, "runtimeData.data"); err != nil {
		return err
	}
	if r.found.InitTimeData, err = decoded(outer, "initTimeData.data"); err != nil {
		return err
	}
	r.found.Chain, r.found.ChainErr = innerChain(inner)
	r.found.Endorsement, r.found.EndorsementErr = innerEndorsement(inner)
	r.inner = without(inner.Members(), "SnpReport", "VcekCertChain", "Endorsements")
	return nil
}

// decoded returns nil if the member is missing or empty.
func decoded(o strictjson.Object, path string) ([]byte, error) {
	if err := checkData(o, path); err != nil {
		return nil, err
	}
	value, _ := o.Lookup(path)
	if value == nil || value == "" {
		return nil, nil
	}
	text, _ := value.(string)
	data, ok := decodeBase64([]byte(text))
	if !ok || text == "" {
		return nil, fmt.Errorf("its %s is no base64url", path)
	}
	return data, nil
}

// checkData refuses data outside of the path, because it would not be verified.
func checkData(o strictjson.Object, path string) error {
	outer, _, nested := strings.Cut(path, ".")
	value, _ := o.Lookup(outer)
	if !nested || value == nil {
		return nil
	}
	members, is := value.(map[string]any)
	if !is {
		return fmt.Errorf("its %s is no object", outer)
	}
	for name := range without(members, "data", "dataType") {
		return fmt.Errorf("its %s has a member %.100q; want data and dataType", outer, name)
	}
	return nil
}

func innerChain(inner strictjson.Object) (*vcek.Chain, error) {
	text, err := decoded(inner, "VcekCertChain")
	if err != nil || text == nil {
		return nil, err
	}
	return vcek.ParsePEM(text)
}

// innerEndorsement returns the only element of the only list. No known client sends more.
func innerEndorsement(inner strictjson.Object) (*uvm.Endorsement, error) {
	text, err := decoded(inner, "Endorsements")
	if err != nil || text == nil {
		return nil, err
	}
	lists, err := strictjson.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("its Endorsements: %w", err)
	}
	value, _ := lists.Lookup("Uvm")
	list, _ := value.([]any)
	if len(lists.Members()) != 1 || len(list) != 1 {
		return nil, errors.New("its Endorsements are not a list Uvm of one and nothing else")
	}
	encoded, _ := list[0].(string)
	raw, ok := decodeBase64([]byte(encoded))
	if !ok || encoded == "" {
		return nil, errors.New("its endorsement is no base64url")
	}
	return uvm.ParseEndorsement(raw)
}

func (r *request) evidence() Evidence { return r.found }

func (r *request) sections(now time.Time) []Section {
	product := r.found.Report.Product()
	sections := []Section{r.summary()}
	if r.found.Chain != nil {
		product = r.found.Chain.Product()
	}
	sections = append(sections, report{r.found.Report, product}.sections(now)...)
	if r.found.RuntimeData != nil {
		sections = append(sections, runtimeSection(r.found.RuntimeData, now))
	}
	if r.found.Endorsement != nil {
		sections = append(sections, endorsement{parsed: r.found.Endorsement}.sections(now)...)
	}
	if r.found.Chain != nil {
		sections = append(sections, chain{r.found.Chain}.sections(now)...)
	}
	return sections
}

func (r *request) summary() Section {
	s := Section{Title: "MAA request"}
	s.add("certificates", present(r.found.Chain != nil, r.found.ChainErr), "VCEK and its issuers")
	s.add("endorsement", present(r.found.Endorsement != nil, r.found.EndorsementErr), "of the utility VM's measurement")
	s.add("runtime data", present(r.found.RuntimeData != nil, nil), bindingMeaning(r.found))
	if r.nonce != nil {
		s.add("nonce", textOf(r.nonce), "the token repeats it")
	}
	return s
}

func present(is bool, err error) string {
	switch {
	case err != nil:
		return "malformed: " + err.Error()
	case is:
		return "present"
	}
	return "none"
}

func bindingMeaning(e Evidence) string {
	switch {
	case e.RuntimeData == nil:
		return "nothing is bound through REPORT_DATA"
	case e.Report.ReportData() == snp.Bind(e.RuntimeData):
		return "bound: REPORT_DATA is its SHA-256"
	}
	return "NOT BOUND: REPORT_DATA is not its SHA-256"
}

func runtimeSection(data []byte, now time.Time) Section {
	const title = "Runtime data"
	if parsed, err := strictjson.Parse(data); err == nil {
		return claimSection(title, parsed, now)
	}
	s := Section{Title: title}
	s.add("SHA-256", digest(data), "of data that is no JSON object")
	return s
}
