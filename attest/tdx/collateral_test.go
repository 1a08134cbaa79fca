package tdx_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// strict demands collateral and a platform that is up to date.
func strict(tb testing.TB) tdx.Policy { return must(tdx.ParsePolicy("UpToDate"))(tb) }

func TestCollateral(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{Version: 5})
	set := func(name string, value any) func(map[string]any) {
		return func(all map[string]any) { all[name] = value }
	}
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	identity := func(change func(map[string]any)) tdxtest.CollateralOptions {
		return tdxtest.CollateralOptions{QEIdentity: change}
	}
	info := func(change func(map[string]any)) tdxtest.CollateralOptions {
		return tdxtest.CollateralOptions{TCBInfo: change}
	}
	for _, c := range []struct {
		name   string
		o      tdxtest.CollateralOptions
		change func(*tdx.Collateral)
		want   error
		text   string
	}{
		{"good", tdxtest.CollateralOptions{}, nil, nil, ""},
		{"FMSPC of another platform", info(set("fmspc", "00806F050000")), nil, tdx.ErrCollateral, "for FMSPC 00806f050000"},
		{"another PCEID", info(set("pceId", "0001")), nil, tdx.ErrCollateral, "PCEID 0001"},
		{"no identity of the module", info(set("tdxModuleIdentities", []any{})), nil, tdx.ErrCollateral, "no identity of the TDX module TDX_01"},
		{"TCB info of another vendor", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.TCBInfo = other.collateral(t, tdxtest.CollateralOptions{}).TCBInfo },
			tdx.ErrCollateral, "TCB info: "},
		{"QE identity of another vendor", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) {
			c.QEIdentity = other.collateral(t, tdxtest.CollateralOptions{}).QEIdentity
		}, tdx.ErrCollateral, "QE identity: "},
		{"PCK CRL of another vendor", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.PCKCRL = other.collateral(t, tdxtest.CollateralOptions{}).PCKCRL },
			tdx.ErrCollateral, "the PCK CRL: "},
		{"root CRL of another vendor", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.RootCRL = other.collateral(t, tdxtest.CollateralOptions{}).RootCRL },
			tdx.ErrCollateral, "the root CRL: "},
		{"the root CRL as that of PCK", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.PCKCRL = c.RootCRL }, tdx.ErrCollateral,
			`the PCK CRL is of "Intel SGX Root CA"`},
		{"a delta CRL", tdxtest.CollateralOptions{List: func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, critical) }}, nil,
			tdx.ErrCollateral, "unknown critical extension"},

		{"a QE with MISCSELECT", identity(set("miscselect", "00000001")), nil, tdx.ErrCollateral, "MISCSELECT"},
		{"a QE with other ATTRIBUTES", identity(set("attributes", "21000000000000000000000000000000")), nil, tdx.ErrCollateral, "ATTRIBUTES"},
		{"a QE of another signer", identity(set("mrsigner", strings.Repeat("ab", 32))), nil, tdx.ErrCollateral, "of signer"},
		{"another product", identity(set("isvprodid", 1)), nil, tdx.ErrCollateral, "is product 2"},

		{"the PCK certificate is revoked", tdxtest.CollateralOptions{Revoked: []*x509.Certificate{m.platform.Certificate()}}, nil, tdx.ErrRevoked,
			`"Intel SGX PCK Certificate"`},
		{"another PCK certificate is revoked", tdxtest.CollateralOptions{Revoked: []*x509.Certificate{other.platform.Certificate()}}, nil, nil, ""},
		{"the authority is revoked", tdxtest.CollateralOptions{RevokedAuthorities: []*x509.Certificate{m.vendor.Authority()}}, nil, tdx.ErrRevoked,
			`"Intel SGX PCK Platform CA"`},
		{"the signer is revoked", tdxtest.CollateralOptions{RevokedAuthorities: []*x509.Certificate{m.vendor.Signer()}}, nil, tdx.ErrRevoked,
			`"Intel SGX TCB Signing"`},

		{"out of date", tdxtest.CollateralOptions{Issued: now.AddDate(0, -2, 0)}, nil, tdx.ErrNoCollateral, "TCB info (valid from 2026-04-01"},
		{"not yet valid", tdxtest.CollateralOptions{Issued: now.Add(time.Hour)}, nil, tdx.ErrNoCollateral, "QE identity (valid from 2026-06-01T13"},
		{"no TCB info", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.TCBInfo = nil }, tdx.ErrNoCollateral, "TCB info is missing"},
		{"no QE identity", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.QEIdentity = nil }, tdx.ErrNoCollateral, "QE identity is missing"},
		{"no PCK CRL", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.PCKCRL = nil }, tdx.ErrNoCollateral, "PCK CRL is missing"},
		{"no root CRL", tdxtest.CollateralOptions{}, func(c *tdx.Collateral) { c.RootCRL = nil }, tdx.ErrNoCollateral, "root CRL is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := m.verification()
			v.Policy, v.Collateral = strict(t), m.collateral(t, c.o)
			if c.change != nil {
				c.change(v.Collateral)
			}
			result, err := q.Verify(v)
			checkError(t, err, c.want, c.text)
			if err == nil && (result.Level.Status != tdx.UpToDate || result.NotLookedAt != nil) {
				t.Errorf("level %v, not looked at %q", result.Level, result.NotLookedAt)
			}
			v.Policy = tdx.Policy{}
			result, err = q.Verify(v)
			if errors.Is(c.want, tdx.ErrNoCollateral) { // the zero policy reports what the other demands
				if err != nil || !strings.Contains(strings.Join(result.NotLookedAt, "; "), c.text) {
					t.Errorf("by the zero policy: %v, %v", result, err)
				}
				return
			}
			checkError(t, err, c.want, c.text)
		})
	}
}

// A revoked certificate is refused even if the list is out of date.
func TestOldListStillRevokes(t *testing.T) {
	m := newMachine(t)
	v := m.verification()
	v.Collateral = m.collateral(t, tdxtest.CollateralOptions{Issued: now.AddDate(0, -2, 0), Revoked: []*x509.Certificate{m.platform.Certificate()}})
	_, err := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}).Verify(v)
	checkError(t, err, tdx.ErrRevoked, "was revoked at")
}

// Without collateral, a result says all that was not looked at.
func TestNoCollateral(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	result := must(q.Verify(m.verification()))(t)
	if result.Level != nil || len(result.NotLookedAt) != 4 {
		t.Errorf("level %v, not looked at %q", result.Level, result.NotLookedAt)
	}
	v := m.verification()
	v.Policy = strict(t)
	_, err := q.Verify(v)
	checkError(t, err, tdx.ErrNoCollateral, "the policy demands it: the TCB level of the platform (TCB info is missing)")
}

// Nil collateral has no parts.
func TestNilCollateral(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	var c *tdx.Collateral
	if len(c.Missing()) != 4 || c.OutOfDate(now) != nil || !c.Expires().IsZero() || c.Authenticate(q, m.roots) != nil || c.CheckRevoked(q) != nil {
		t.Error("nil collateral has parts")
	}
	_, err := c.Level(q)
	checkError(t, err, tdx.ErrCollateral, "both needed")
}

// The level is the first that the platform reaches, made worse by module and enclave.
func TestLevels(t *testing.T) {
	m := newMachine(t)
	has := m.platform.PCK().SVNs
	raised := func(i int) [16]uint8 { svns := has; svns[i]++; return svns }
	levels := func(list ...map[string]any) func(map[string]any) {
		return func(all map[string]any) { all["tcbLevels"] = list }
	}
	module := [16]uint8{255, 255, 3} // the first two components are those of the module's identity
	platform := func(status string) func(map[string]any) { return levels(tdxtest.Level(has, 13, module, status)) }
	moduleLevels := func(status string, list ...map[string]any) func(map[string]any) {
		return func(all map[string]any) {
			platform(status)(all)
			for _, identity := range all["tdxModuleIdentities"].([]map[string]any) {
				identity["tcbLevels"] = list
			}
		}
	}
	for _, c := range []struct {
		name     string
		svn      tdx.SVN // zero for Azure's
		info, qe func(map[string]any)
		want     string
	}{
		{"up to date", tdx.SVN{}, nil, nil, "UpToDate by the platform as of 2024-11-13"},
		{"the second level", tdx.SVN{}, levels(tdxtest.Level(raised(7), 13, module, "UpToDate"), tdxtest.Level(has, 13, module, "OutOfDate", "INTEL-SA-1")), nil,
			"OutOfDate by the platform as of 2024-11-13, INTEL-SA-1"},
		{"below all levels, as some machines of Azure", tdx.SVN{}, levels(tdxtest.Level(raised(7), 13, module, "UpToDate")), nil, "NotSupported by the platform"},
		{"component 1", tdx.SVN{}, levels(tdxtest.Level(raised(0), 13, module, "UpToDate")), nil, "NotSupported by the platform"},
		{"component 16", tdx.SVN{}, levels(tdxtest.Level(raised(15), 13, module, "UpToDate")), nil, "NotSupported by the platform"},
		{"PCESVN", tdx.SVN{}, levels(tdxtest.Level(has, 14, module, "UpToDate")), nil, "NotSupported by the platform"},
		{"component 3 of the module", tdx.SVN{}, levels(tdxtest.Level(has, 13, [16]uint8{0, 0, 4}, "UpToDate")), nil, "NotSupported by the platform"},
		{"module 0 has all components", tdx.SVN{7, 0, 3}, levels(tdxtest.Level(has, 13, [16]uint8{8, 0, 3}, "UpToDate"), tdxtest.Level(has, 13, [16]uint8{7, 0, 3},
			"OutOfDate")), nil, "OutOfDate by the platform as of 2024-11-13"},

		{"module out of date", tdx.SVN{5, 1, 3}, nil, nil, "OutOfDate by the TDX module as of 2024-11-13, INTEL-SA-01036"},
		{"module below all levels", tdx.SVN{3, 1, 3}, nil, nil, "NotSupported by the TDX module"},
		{"module and hardening", tdx.SVN{5, 1, 3}, platform("SWHardeningNeeded"), nil, "OutOfDate by the TDX module as of 2024-11-13, INTEL-SA-01036"},
		{"module and configuration", tdx.SVN{5, 1, 3}, platform("ConfigurationNeeded"), nil,
			"OutOfDateConfigurationNeeded by the TDX module as of 2024-11-13, INTEL-SA-01036"},
		{"module and both", tdx.SVN{5, 1, 3}, platform("ConfigurationAndSWHardeningNeeded"), nil,
			"OutOfDateConfigurationNeeded by the TDX module as of 2024-11-13, INTEL-SA-01036"},
		{"platform worse than module", tdx.SVN{5, 1, 3}, platform("OutOfDateConfigurationNeeded"), nil,
			"OutOfDateConfigurationNeeded by the platform as of 2024-11-13, INTEL-SA-01036"},
		{"module revoked", tdx.SVN{}, moduleLevels("UpToDate", tdxtest.ISVSVN(0, "Revoked")), nil, "Revoked by the TDX module as of 2024-11-13"},

		{"enclave out of date", tdx.SVN{}, nil, levels(tdxtest.ISVSVN(8, "UpToDate"), tdxtest.ISVSVN(7, "OutOfDate", "INTEL-SA-2")),
			"OutOfDate by the quoting enclave as of 2024-11-13, INTEL-SA-2"},
		{"enclave below all levels", tdx.SVN{}, nil, levels(tdxtest.ISVSVN(8, "UpToDate")), "NotSupported by the quoting enclave"},
		{"enclave revoked", tdx.SVN{}, nil, levels(tdxtest.ISVSVN(0, "Revoked")), "Revoked by the quoting enclave as of 2024-11-13"},
		{"platform revoked", tdx.SVN{}, platform("Revoked"), nil, "Revoked by the platform as of 2024-11-13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := m.quote(t, tdxtest.TD{TEETCBSVN: c.svn}, tdxtest.QuoteOptions{})
			v := m.verification()
			v.Collateral = m.collateral(t, tdxtest.CollateralOptions{TCBInfo: c.info, QEIdentity: c.qe})
			level := must(v.Collateral.Level(q))(t)
			if level.String() != c.want || level.EvaluationNumber != 18 {
				t.Errorf("level %s, number %d, want %s", level, level.EvaluationNumber, c.want)
			}
			_, err := q.Verify(v)
			if level.Status == tdx.Revoked {
				checkError(t, err, tdx.ErrRevoked, "the TCB level is revoked")
			} else {
				checkError(t, err, nil, "")
			}
			v.Policy = strict(t)
			_, err = q.Verify(v)
			switch level.Status {
			case tdx.UpToDate:
				checkError(t, err, nil, "")
			case tdx.Revoked:
				checkError(t, err, tdx.ErrRevoked, "")
			default:
				checkError(t, err, tdx.ErrTCBStatus, "the policy has UpToDate")
				v.Policy = must(tdx.ParsePolicy("UpToDate", string(level.Status)))(t)
				_, err = q.Verify(v)
				checkError(t, err, nil, "")
			}
		})
	}
}

// The TDX module must be signed as the TCB info says.
func TestModuleSigner(t *testing.T) {
	m := newMachine(t)
	for name, td := range map[string]tdxtest.TD{
		"another signer": {MRSIGNERSEAM: tdx.Measurement{1}}, "another signer of module 0": {MRSIGNERSEAM: tdx.Measurement{1}, TEETCBSVN: tdx.SVN{7, 0, 3}},
		"SEAMATTRIBUTES": {SEAMAttributes: 1}, "module 2": {TEETCBSVN: tdx.SVN{1, 2}},
	} {
		v := m.verification()
		v.Collateral = m.collateral(t, tdxtest.CollateralOptions{})
		_, err := m.quote(t, td, tdxtest.QuoteOptions{}).Verify(v)
		if !is(err, tdx.ErrCollateral) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for _, bad := range []string{"", "Revoked", "uptodate", "UpToDate ", "any"} {
		if _, err := tdx.ParsePolicy("UpToDate", bad); err == nil || !strings.Contains(err.Error(), "want one of UpToDate, ") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
	if p := must(tdx.ParsePolicy())(t); p.Demands() {
		t.Error("an empty policy demands collateral")
	}
}

func TestParseCollateralRefuses(t *testing.T) {
	m := newMachine(t)
	good := must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(t)
	signed := func(member, content string) []byte {
		return []byte(`{"` + member + `":` + content + `,"signature":"` + strings.Repeat("ab", 64) + `"}`)
	}
	info := func(change func(map[string]any)) []byte {
		return must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{TCBInfo: change}))(t).TCBInfo
	}
	identity := func(change func(map[string]any)) []byte {
		return must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{QEIdentity: change}))(t).QEIdentity
	}
	set := func(name string, value any) func(map[string]any) {
		return func(all map[string]any) { all[name] = value }
	}
	drop := func(name string) func(map[string]any) { return func(all map[string]any) { delete(all, name) } }
	short := tdxtest.Level([16]uint8{}, 1, [16]uint8{}, "UpToDate")
	short["tcb"].(map[string]any)["sgxtcbcomponents"] = []any{}
	for _, c := range []struct {
		name, text string
		answer     []byte
		isIdentity bool
	}{
		{"no JSON", "JSON", []byte("x"), false},
		{"nothing signed", "the signed document is missing", []byte(`{"signature":"00"}`), false},
		{"no signature", "not 128 hexadecimal digits", []byte(`{"tcbInfo":{}}`), false},
		{"two documents", "twice", []byte(`{"tcbInfo":{},"tcbInfo":{},"signature":""}`), false},
		{"an empty document", `of "", version 0`, signed("tcbInfo", "{}"), false},
		{"TCB info of SGX", `of "SGX"`, info(set("id", "SGX")), false},
		{"TCB info of version 2", "version 2, want", info(set("version", 2)), false},
		{"a short fmspc", "6 bytes", info(set("fmspc", "00")), false},
		{"no hex", "not hexadecimal digits", info(set("fmspc", "xy")), false},
		{"tcbType", "tcbType is 1", info(set("tcbType", 1)), false},
		{"no module", "no tdxModule", info(drop("tdxModule")), false},
		{"no levels", "no tcbLevels", info(drop("tcbLevels")), false},
		{"no dates", "no issueDate or nextUpdate", info(drop("nextUpdate")), false},
		{"an unknown status", "unknown tcbStatus", info(set("tcbLevels", []any{tdxtest.Level([16]uint8{}, 1, [16]uint8{}, "Fine")})), false},
		{"our own status", "unknown tcbStatus", info(set("tcbLevels", []any{tdxtest.Level([16]uint8{}, 1, [16]uint8{}, "NotSupported")})), false},
		{"a status of a module", "unknown tcbStatus", info(func(all map[string]any) {
			all["tdxModuleIdentities"].([]map[string]any)[0]["tcbLevels"] = []any{tdxtest.ISVSVN(1, "Fine")}
		}), false},
		{"components", "0 and 16 components", info(set("tcbLevels", []any{short})), false},
		{"a short mrsigner", "mrsigner of 48 bytes", info(set("tdxModule", map[string]any{"mrsigner": "00"})), false},
		{"QE identity of SGX", `of "QE"`, identity(set("id", "QE")), true},
		{"a short mask", "their masks as many", identity(set("attributesMask", "00")), true},
		{"no levels of the QE", "no tcbLevels", identity(drop("tcbLevels")), true},
		{"no dates of the QE", "no issueDate", identity(drop("issueDate")), true},
		{"a status of the QE", "unknown tcbStatus", identity(set("tcbLevels", []any{tdxtest.ISVSVN(1, "Fine")})), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if c.isIdentity {
				_, err = tdx.ParseQEIdentity(c.answer, good.Issuers)
			} else {
				_, err = tdx.ParseTCBInfo(c.answer, good.Issuers)
			}
			checkError(t, err, tdx.ErrCollateralMalformed, c.text)
		})
	}
	_, err := tdx.ParseTCBInfo(good.TCBInfo, []byte("x"))
	checkError(t, err, tdx.ErrCollateralMalformed, "its issuers")
	for _, bad := range []string{"", "{}", "x", "[]", "tcb_info: ''", `{"tcb_info":"{}"}`, `{"pck_crl":"00"}`} {
		_, err := tdx.ParseCollateral([]byte(bad))
		checkError(t, err, tdx.ErrCollateralMalformed, "")
	}
}

// Signatures cover the exact bytes: a space more is another document.
func TestSignatureOfCollateral(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	good := must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(t)
	spaced := good
	spaced.TCBInfo = []byte(strings.Replace(string(good.TCBInfo), `"id":`, `"id": `, 1))
	checkError(t, parsed(t, spaced).Authenticate(q, m.roots), tdx.ErrCollateral, "TCB info: the signature does not verify")
	spaced = good
	spaced.QEIdentity = []byte(strings.Replace(string(good.QEIdentity), `"id":`, `"id": `, 1))
	checkError(t, parsed(t, spaced).Authenticate(q, m.roots), tdx.ErrCollateral, "QE identity: the signature does not verify")

	bare := good
	bare.Issuers = nil
	c := parsed(t, bare)
	checkError(t, c.Authenticate(q, m.roots), tdx.ErrCollateral, `the certificate of "Intel SGX TCB Signing" is not here`)
	c.TCBInfo, c.QEIdentity = c.TCBInfo.WithIssuers(m.vendor.Signer()), c.QEIdentity.WithIssuers(m.vendor.Authority(), m.vendor.Signer())
	checkError(t, c.Authenticate(q, m.roots), nil, "")
	c = parsed(t, bare)
	c.TCBInfo = c.TCBInfo.WithIssuers(m.platform.Certificate())
	checkError(t, c.Authenticate(q, m.roots), tdx.ErrCollateral, "is not here")
}

// The signer of collateral is a certificate of the root, for signatures and in date.
func TestSignerOfCollateral(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*x509.Certificate)
		want   error
		text   string
	}{
		{"good", func(*x509.Certificate) {}, nil, ""},
		{"an authority", func(c *x509.Certificate) { c.IsCA = true }, tdx.ErrCollateral, "the leaf is a certificate authority"},
		{"may not sign", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, tdx.ErrCollateral, "lacks digital signature"},
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, tdx.ErrNoCollateral, "TCB info (valid from"},
		{"another name", func(c *x509.Certificate) { c.Subject.CommonName = "Intel SGX PCK Certificate" }, tdx.ErrCollateral, "is not here"},
	} {
		m := newMachine(t)
		if err := m.vendor.ReplaceSigner(c.change); err != nil {
			t.Fatal(err)
		}
		v := m.verification()
		v.Policy, v.Collateral = strict(t), m.collateral(t, tdxtest.CollateralOptions{})
		_, err := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}).Verify(v)
		checkError(t, err, c.want, c.text)
	}
}

func TestParseCRL(t *testing.T) {
	m := newMachine(t)
	good := must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{Revoked: []*x509.Certificate{{SerialNumber: big.NewInt(7)}}}))(t)
	for name, data := range map[string][]byte{
		"DER": good.PCKCRL, "PEM": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: good.PCKCRL}), "hex": []byte(hex.EncodeToString(good.PCKCRL) + "\n"),
	} {
		list := must(tdx.ParseCRL(data))(t)
		from, to := list.Valid()
		if list.Issuer() != "Intel SGX PCK Platform CA" || list.Revoked() != 1 || list.IsRoot() || !list.IsPCK() ||
			!from.Equal(now) || !to.Equal(now.Add(tdxtest.Validity)) {
			t.Errorf("%s: %s, %d, %v, %v", name, list.Issuer(), list.Revoked(), from, to)
		}
	}
	if root := must(tdx.ParseCRL(good.RootCRL))(t); !root.IsRoot() || root.IsPCK() {
		t.Error("the list of the root is taken for another")
	}
	for _, bad := range [][]byte{nil, []byte("x"), good.TCBInfo, make([]byte, 2<<20)} {
		_, err := tdx.ParseCRL(bad)
		checkError(t, err, tdx.ErrCollateralMalformed, "CRL")
	}
}

// FuzzParseCollateral checks that whatever is read can be asked everything.
func FuzzParseCollateral(f *testing.F) {
	m := newMachine(f)
	q := m.quote(f, tdxtest.TD{}, tdxtest.QuoteOptions{})
	c := must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(f)
	f.Add(must(c.Bundle())(f))
	f.Add(c.TCBInfo)
	f.Add(c.QEIdentity)
	f.Add(c.PCKCRL)
	f.Add([]byte("pck_crl: |\n  00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = tdx.ParseTCBInfo(text, nil)
		_, _ = tdx.ParseQEIdentity(text, nil)
		_, _ = tdx.ParseCRL(text)
		read, err := tdx.ParseCollateral(text)
		if err != nil {
			if !is(err, tdx.ErrCollateralMalformed) {
				t.Errorf("error %v does not wrap ErrCollateralMalformed", err)
			}
			return
		}
		_, _, _, _ = read.Missing(), read.OutOfDate(now), read.Authenticate(q, m.roots), read.CheckRevoked(q)
		_, _ = read.Level(q)
	})
}

// Each false collateral is refused by a policy that demands a platform that is up to date, and all
// but what is old or of a low level by every policy.
func TestCollateralForgeries(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	for _, f := range tdxtest.CollateralForgeries() {
		t.Run(f.Name, func(t *testing.T) {
			c := must(f.Collateral(m.vendor, m.platform, tdxtest.CollateralOptions{}))(t)
			parsed, err := tdx.ParseCollateral(must(c.Bundle())(t))
			if err != nil {
				checkError(t, err, f.Err, f.Text)
				return
			}
			v := m.verification()
			v.Collateral, v.Policy = parsed, strict(t)
			_, err = q.Verify(v)
			checkError(t, err, f.Err, f.Text)
			v.Policy = tdx.Policy{}
			if _, err = q.Verify(v); is(f.Err, tdx.ErrNoCollateral) || is(f.Err, tdx.ErrTCBStatus) {
				checkError(t, err, nil, "")
				return
			}
			checkError(t, err, f.Err, f.Text)
		})
	}
}
