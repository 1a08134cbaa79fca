package tdxtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// CollateralOptions describe collateral. The functions make false ones.
type CollateralOptions struct {
	// Issued is the date of all parts; zero for that of the vendor.
	Issued time.Time
	// TCBInfo and QEIdentity may change the documents before they are signed.
	TCBInfo, QEIdentity func(map[string]any)
	// Revoked are certificates in the list of the authority of PCK certificates, and
	// RevokedAuthorities are those in the list of the root.
	Revoked, RevokedAuthorities []*x509.Certificate
	// List may change both lists before they are signed.
	List func(*x509.RevocationList)
}

// Collateral holds the answers of the service.
type Collateral struct {
	// FMSPC of the platform in hexadecimal digits of lower case.
	FMSPC string
	// TCBInfo and QEIdentity are the JSON answers.
	TCBInfo, QEIdentity []byte
	// Issuers are the certificates for the header of both, as PEM.
	Issuers []byte
	// PCKCRL and RootCRL are DER.
	PCKCRL, RootCRL []byte
}

// Validity is how long collateral is valid, as Intel's.
const Validity = 30 * 24 * time.Hour

// Collateral makes collateral of the platform: it and module 1, version 7, are UpToDate.
func (v *Vendor) Collateral(p *Platform, o CollateralOptions) (Collateral, error) {
	if o.Issued.IsZero() {
		o.Issued = v.now
	}
	c := Collateral{Issuers: v.Issuers(), FMSPC: hex.EncodeToString(p.pck.FMSPC[:])}
	var err error
	if c.TCBInfo, err = v.signed("tcbInfo", tcbInfo(p, o.Issued), o.TCBInfo); err != nil {
		return c, err
	}
	if c.QEIdentity, err = v.signed("enclaveIdentity", qeIdentity(o.Issued), o.QEIdentity); err != nil {
		return c, err
	}
	if c.PCKCRL, err = revocation(p.ca, o.Revoked, o); err != nil {
		return c, err
	}
	c.RootCRL, err = revocation(v.root, o.RevokedAuthorities, o)
	return c, err
}

// signed returns the answer of the service: the document with its signature.
func (v *Vendor) signed(member string, document map[string]any, change func(map[string]any)) ([]byte, error) {
	if change != nil {
		change(document)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	signature, err := sign(v.tcb.key, text)
	return fmt.Appendf(nil, `{"%s":%s,"signature":"%x"}`, member, text, signature), err
}

func dates(document map[string]any, issued time.Time) map[string]any {
	document["issueDate"] = issued.UTC().Format(time.RFC3339)
	document["nextUpdate"] = issued.Add(Validity).UTC().Format(time.RFC3339)
	document["tcbEvaluationDataNumber"] = 18
	return document
}

// Status is a level's status with its date.
func Status(level map[string]any, status string, advisories ...string) map[string]any {
	level["tcbDate"], level["tcbStatus"] = "2024-11-13T00:00:00Z", status
	if advisories != nil {
		level["advisoryIDs"] = advisories
	}
	return level
}

// Level is a level of the platform that demands these security versions.
func Level(svns [16]uint8, pcesvn uint16, module [16]uint8, status string, advisories ...string) map[string]any {
	return Status(map[string]any{"tcb": map[string]any{
		"sgxtcbcomponents": componentsOf(svns), "pcesvn": pcesvn, "tdxtcbcomponents": componentsOf(module),
	}}, status, advisories...)
}

func componentsOf(svns [16]uint8) []map[string]any {
	list := make([]map[string]any, len(svns))
	for i, svn := range svns {
		list[i] = map[string]any{"svn": svn}
	}
	return list
}

// ISVSVN is a level of a TDX module or enclave.
func ISVSVN(svn int, status string, advisories ...string) map[string]any {
	return Status(map[string]any{"tcb": map[string]any{"isvsvn": svn}}, status, advisories...)
}

func tcbInfo(p *Platform, issued time.Time) map[string]any {
	module := func(id string) map[string]any {
		m := map[string]any{"mrsigner": strings.Repeat("00", 48), "attributes": strings.Repeat("00", 8), "attributesMask": strings.Repeat("FF", 8)}
		if id != "" {
			m["id"] = id
			m["tcbLevels"] = []map[string]any{ISVSVN(6, "UpToDate"), ISVSVN(4, "OutOfDate", "INTEL-SA-01036")}
		}
		return m
	}
	older := p.pck.SVNs
	for i := range older {
		older[i] -= min(older[i], 1)
	}
	return dates(map[string]any{
		"id": "TDX", "version": 3, "fmspc": strings.ToUpper(hex.EncodeToString(p.pck.FMSPC[:])), "pceId": hex.EncodeToString(p.pck.PCEID[:]), "tcbType": 0,
		"tdxModule": module(""), "tdxModuleIdentities": []map[string]any{module("TDX_03"), module("TDX_01")},
		"tcbLevels": []map[string]any{
			Level(p.pck.SVNs, p.pck.PCESVN, [16]uint8{5, 0, 3}, "UpToDate"),
			Level(older, p.pck.PCESVN-1, [16]uint8{5, 0, 2}, "OutOfDate", "INTEL-SA-01079"),
		},
	}, issued)
}

// OutOfDate changes TCB info so that the platform is OutOfDate: the level that it reaches is
// the next one.
func OutOfDate(tcbInfo map[string]any) {
	levels, _ := tcbInfo["tcbLevels"].([]map[string]any)
	tcbInfo["tcbLevels"] = levels[1:]
}

func qeIdentity(issued time.Time) map[string]any {
	return dates(map[string]any{
		"id": "TD_QE", "version": 2, "miscselect": "00000000", "miscselectMask": "FFFFFFFF", "attributes": "11000000000000000000000000000000",
		"attributesMask": "FBFFFFFFFFFFFFFF0000000000000000", "mrsigner": strings.ToUpper(hex.EncodeToString(qeSigner)), "isvprodid": 2,
		"tcbLevels": []map[string]any{ISVSVN(4, "UpToDate"), ISVSVN(2, "OutOfDate")},
	}, issued)
}

func revocation(issuer *authority, revoked []*x509.Certificate, o CollateralOptions) ([]byte, error) {
	list := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: o.Issued, NextUpdate: o.Issued.Add(Validity), SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: o.Issued})
	}
	if o.List != nil {
		o.List(list)
	}
	return x509.CreateRevocationList(rand.Reader, list, issuer.cert, issuer.key)
}

// Bundle returns the collateral in one file, as attest/tdx.ParseCollateral reads it.
func (c Collateral) Bundle() ([]byte, error) {
	info, infoSignature, err := split(c.TCBInfo, "tcbInfo")
	if err != nil {
		return nil, err
	}
	identity, identitySignature, err := split(c.QEIdentity, "enclaveIdentity")
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(map[string]string{
		"tcb_info": info, "tcb_info_signature": infoSignature, "tcb_info_issuer_chain": string(c.Issuers),
		"qe_identity": identity, "qe_identity_signature": identitySignature, "qe_identity_issuer_chain": string(c.Issuers),
		"pck_crl": hex.EncodeToString(c.PCKCRL), "root_ca_crl": hex.EncodeToString(c.RootCRL),
	}, "", " ")
}

func split(answer []byte, member string) (document, signature string, err error) {
	var parts map[string]json.RawMessage
	if err = json.Unmarshal(answer, &parts); err == nil {
		err = json.Unmarshal(parts["signature"], &signature)
	}
	return string(parts[member]), signature, err
}
