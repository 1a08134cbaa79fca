package azureguest

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"skr/attest/tpm"
	"skr/attest/vtpm"
)

// BootPCRs are the registers that clients on Linux quote.
var BootPCRs = []int{0, 1, 2, 3, 4, 5, 6, 7}

// Guest is a machine as its own programs see it.
type Guest struct {
	TPM   *tpm.TPM
	Key   *tpm.EphemeralKey // answers are sealed to it
	Log   []byte            // the firmware's event log; empty if there is none
	Chain []byte            // VCEK, ASK and ARK as PEM, of a confidential machine
	// Quote returns the host's quote of a TD report, on a machine with Intel TDX.
	Quote func(t testing.TB, report []byte) []byte
}

// New opens the TPM at an address of [tpm.Open] and creates the key for
// BootPCRs.
func New(t testing.TB, address string) *Guest {
	t.Helper()
	opened, err := tpm.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	g := &Guest{TPM: opened}
	g.Key = g.NewKey(t, BootPCRs...)
	return g
}

// NewKey creates an ephemeral key that is bound to the registers.
func (g *Guest) NewKey(t testing.TB, pcrs ...int) *tpm.EphemeralKey {
	t.Helper()
	key, err := g.TPM.EphemeralKey(t.Context(), selection(t, pcrs))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func selection(t testing.TB, pcrs []int) vtpm.Selection {
	t.Helper()
	s, err := vtpm.Select(pcrs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Info collects what the client of a Linux machine sends. A TPM without an HCL
// report means Trusted Launch.
func (g *Guest) Info(t testing.TB) *Info {
	t.Helper()
	i := &Info{
		AttestationProtocolVersion: "2.0",
		OSType:                     []byte("Linux"), OSDistro: []byte("Ubuntu"), OSBuild: []byte("NotApplication"),
		OSVersionMajor: 24, OSVersionMinor: 4,
		TcgLogs:       g.Log,
		ClientPayload: map[string][]byte{"nonce": []byte("of the client"), "runtime-data": []byte(`{"a":1}`)},
		IsolationInfo: Isolation{Type: "TrustedLaunch"},
	}
	g.AddQuote(t, i, BootPCRs...)
	g.AddKey(t, i, g.Key)
	confidential, err := g.TPM.Exists(t.Context(), tpm.HCLReport)
	if err != nil {
		t.Fatal(err)
	}
	if confidential {
		g.AddReport(t, i)
	}
	return i
}

// AddQuote adds the AK and a quote.
func (g *Guest) AddQuote(t testing.TB, i *Info, pcrs ...int) {
	t.Helper()
	ak, err := g.TPM.AK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := g.TPM.ReadIndex(t.Context(), tpm.AKCertificate)
	if err != nil {
		t.Fatal(err)
	}
	quote, err := g.TPM.Quote(t.Context(), selection(t, pcrs), nil)
	if err != nil {
		t.Fatal(err)
	}
	i.TpmInfo.AikCert, i.TpmInfo.AikPub = certificate, ak.Area()
	i.TpmInfo.PcrQuote, i.TpmInfo.PcrSignature, i.TpmInfo.PcrSet = quote.Info, quote.Signature, pcrs
	i.TpmInfo.PCRs = nil
	for _, pcr := range quote.PCRs.Sorted() {
		value := quote.PCRs[pcr]
		i.TpmInfo.PCRs = append(i.TpmInfo.PCRs, PCR{pcr, value[:]})
	}
}

// AddKey adds a key that the AK certifies.
func (g *Guest) AddKey(t testing.TB, i *Info, key *tpm.EphemeralKey) {
	t.Helper()
	certified, err := key.Certify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	i.TpmInfo.EncKeyPub = key.Area()
	i.TpmInfo.EncKeyCertifyInfo, i.TpmInfo.EncKeyCertifyInfoSignature = certified.Info, certified.Signature
}

// AddReport adds the HCL's report.
func (g *Guest) AddReport(t testing.TB, i *Info) {
	t.Helper()
	index, err := g.TPM.ReadIndex(t.Context(), tpm.HCLReport)
	if err != nil {
		t.Fatal(err)
	}
	hcl, err := vtpm.ParseHCL(index)
	if err != nil {
		t.Fatal(err)
	}
	if hcl.Hardware() == vtpm.TDX {
		i.SetQuote(g.Quote(t, hcl.TDReport().Raw()), hcl.Claims().Raw())
		return
	}
	i.SetReport(t, hcl.Report().Raw(), g.Chain, hcl.Claims().Raw())
}

// Open opens an answer in the TPM and returns the token.
func (g *Guest) Open(t testing.TB, answer []byte) (string, error) {
	t.Helper()
	envelope, err := vtpm.ParseEnvelope(sealed(t, answer))
	if err != nil {
		return "", err
	}
	key, err := g.Key.DecryptRSAES(t.Context(), envelope.InnerKey())
	if err != nil {
		return "", err
	}
	token, err := envelope.Open(key)
	return string(token), err
}

func sealed(t testing.TB, answer []byte) []byte {
	t.Helper()
	var wire struct{ Token string }
	if err := json.Unmarshal(answer, &wire); err != nil {
		t.Fatal(err)
	}
	envelope, err := base64.RawURLEncoding.DecodeString(wire.Token)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}
