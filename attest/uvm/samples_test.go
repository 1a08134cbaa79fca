package uvm

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"skr/test/samples"
)

const containerPlatIssuer = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"

func TestRecordedEndorsements(t *testing.T) {
	bundle := struct {
		Report struct {
			SNPCACI struct {
				Attestation     []byte `json:"attestation"`
				UVMEndorsements string `json:"uvmEndorsements"`
			} `json:"snpCACI"`
		} `json:"report"`
	}{}
	if err := json.Unmarshal(samples.Read(t, "aci-milan-v3", "attestation.json"), &bundle); err != nil {
		t.Fatal(err)
	}
	second, err := base64.StdEncoding.DecodeString(bundle.Report.SNPCACI.UVMEndorsements)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name        string
		raw, report []byte
		svn         uint64
		known       bool
	}{
		{"aci-milan", samples.Read(t, "aci-milan", "body.uvm_reference_info.bin"), samples.Read(t, "aci-milan", "snp_report.bin"), 22, false},
		{"aci-milan-v3", second, bundle.Report.SNPCACI.Attestation, 103, true},
		{"octet-stream", samples.Read(t, octets, "uvm_0.2.10.cose"), nil, 104, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			endorsement, err := ParseEndorsement(c.raw)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(endorsement)
			got := endorsement.Measurement()
			want := octetsMeasurement
			if c.report != nil {
				want = hex.EncodeToString(c.report[0x90 : 0x90+48])
			}
			if hex.EncodeToString(got[:]) != want {
				t.Errorf("measurement %x, the report's is %s", got, want)
			}
			if endorsement.Feed() != "ContainerPlat-AMD-UVM" || endorsement.GuestSVN() != c.svn || endorsement.KnownIssuer() != c.known {
				t.Errorf("feed %q, svn %d, known %v; want svn %d, known %v",
					endorsement.Feed(), endorsement.GuestSVN(), endorsement.KnownIssuer(), c.svn, c.known)
			}
		})
	}
}

// The endorsement of a current fleet declares its measured content as octets.
const (
	octets            = "turn2/01-uvm-endorsement-octet-stream"
	octetsMeasurement = "4904167aa9102a7557b97ac102469f50289d5be76036fcbb8107897ee146a6184772c4ea6e3f050a1bac6951c285bc89"
)

func TestOctetStreamEndorsement(t *testing.T) {
	reference := string(samples.Read(t, octets, "reference-info-base64"))
	for name, config := range map[string]Config{
		"file": {Directory: samples.Path(t, octets)}, "variable": {ReferenceInfo: reference},
	} {
		context, err := Load(config)
		e := context.Endorsement
		if err != nil || e == nil || !e.KnownIssuer() || e.ContentType() != "application/octet-stream" {
			t.Errorf("%s: endorsement %v, error %v", name, e, err)
		}
		if context.ReferenceInfo() != strings.TrimSpace(reference) {
			t.Errorf("%s: the reference info differs from the file", name)
		}
	}
}

func TestRecordedSecurityContext(t *testing.T) {
	context, err := Load(Config{Directory: samples.Path(t, "aci-security-context")})
	if err != nil {
		t.Fatal(err)
	}
	if context.Endorsement == nil || context.Endorsement.Issuer() != containerPlatIssuer {
		t.Errorf("endorsement is %v", context.Endorsement)
	}
	if !json.Valid(context.HostCertificate) || len(context.Policy) == 0 {
		t.Error("the host certificate or the policy was not decoded")
	}
	if got, want := context.ReferenceInfo(), string(samples.Read(t, "aci-security-context", "reference-info-base64")); got != want {
		t.Errorf("reference info has %d characters, the file %d", len(got), len(want))
	}
}
