package maa_test

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/test/azureguest"
	"skr/test/emulator/maa"
	"skr/test/snptest"
	"skr/test/swtpm"
)

// attestationKey is the handle of the AK.
const attestationKey tpm2.TPMHandle = 0x81000003

// guest is an emulated virtual machine and its TPM.
type guest struct {
	*machine
	*azureguest.Guest

	vtpm *swtpm.Machine
}

// newGuest returns a confidential VM or one with Trusted Launch.
func newGuest(t *testing.T, confidential bool, c swtpm.Config) *guest {
	t.Helper()
	g := &guest{machine: sharedMachine(t)}
	if c.Authority == nil {
		c.Authority = sharedAuthority(t)
	}
	if confidential {
		c.Chip = g.chip
	}
	g.vtpm = swtpm.Require(t, c)
	g.Guest = azureguest.New(t, g.vtpm.Address())
	g.Log, g.Chain = g.vtpm.EventLog(), chainOf(t, g.machine)
	return g
}

func chainOf(t *testing.T, m *machine) []byte {
	t.Helper()
	chain, err := m.chip.ChainPEM(m.chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// The processor and the TPM authority take seconds to make on a busy machine,
// so tests share them.
var (
	makeAuthority = sync.OnceValues(func() (*swtpm.Authority, error) { return swtpm.NewAuthority(time.Now()) })
	makeMachine   sync.Once
	made          *machine
)

func sharedMachine(t *testing.T) *machine {
	t.Helper()
	makeMachine.Do(func() { made = newMachine(t, snp.Milan) })
	return made
}

func sharedAuthority(t *testing.T) *swtpm.Authority {
	t.Helper()
	authority, err := makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// guestInstance returns an instance that trusts the guest's processor and TPM.
func (g *guest) guestInstance(t *testing.T, c maa.Config) *maa.Instance {
	t.Helper()
	if c.AKRoots == nil {
		c.AKRoots = func() []*vtpm.Roots { return []*vtpm.Roots{vtpm.AzureRoots(), rootsOf(t, g.vtpm)} }
	}
	return g.instance(t, c)
}

func rootsOf(t *testing.T, m *swtpm.Machine) *vtpm.Roots {
	t.Helper()
	roots, err := vtpm.ParseRoots(m.Authority().PEM())
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// attest returns the claims of a verified token.
func (g *guest) attest(t *testing.T, instance http.Handler, body []byte) jwt.MapClaims {
	t.Helper()
	answer := post(instance, azureguest.Path, body)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	token, err := g.Open(t, answer.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifyToken(t, instance, token)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestConfidentialGuest(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	instance := g.guestInstance(t, maa.Config{CompliantVM: func(snp.Measurement) bool { return true }, Claims2025: true})
	info := g.Info(t)
	claims := g.attest(t, instance, info.Body(t))
	want := map[string]any{
		"x-ms-attestation-type": "azurevm", "secureboot": true, "x-ms-azurevm-vmid": g.vtpm.VMID(),
		"x-ms-azurevm-ostype": "Linux", "x-ms-azurevm-osdistro": "Ubuntu", "x-ms-azurevm-osbuild": "NotApplication",
		"x-ms-azurevm-osversion-major": float64(24), "x-ms-azurevm-osversion-minor": float64(4),
		"x-ms-azurevm-attested-pcrs": []any{0., 1., 2., 3., 4., 5., 6., 7.}, "x-ms-azurevm-is-windows": false,
		"x-ms-azurevm-attestation-protocol-ver": "2.0", "iss": issuer, "x-ms-ver": "1.0",
	}
	for name, value := range want {
		if diff := cmp.Diff(value, claims[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	inner := claims["x-ms-isolation-tee"].(map[string]any)
	for name, value := range map[string]any{
		"x-ms-attestation-type": "sevsnpvm", "x-ms-compliance-status": "azure-compliant-cvm", "x-ms-sevsnpvm-is-debuggable": false,
		"x-ms-runtime": object(t, info.IsolationInfo.Evidence.RunTimeData),
	} {
		if diff := cmp.Diff(value, inner[name]); diff != "" {
			t.Errorf("x-ms-isolation-tee.%s (-want +got):\n%s", name, diff)
		}
	}
	if values := claims["x-ms-azurevm-attested-pcr-values"].(map[string]any); values["pcr7"] != base64.StdEncoding.EncodeToString(info.TpmInfo.PCRs[7].Digest) {
		t.Errorf("values of PCRs: %v", values)
	}
	checkRuntime(t, g, claims, info)
}

// checkRuntime checks for the TPM's key and for each member of the payload as
// it was sent.
func checkRuntime(t *testing.T, g *guest, claims jwt.MapClaims, info *azureguest.Info) {
	t.Helper()
	payload := make(map[string]any)
	for name, value := range info.ClientPayload {
		payload[name] = base64.StdEncoding.EncodeToString(value)
	}
	want := map[string]any{
		"client-payload": payload,
		"keys": []any{map[string]any{
			"kid": "TpmEphemeralEncryptionKey", "kty": "RSA", "key_ops": []any{"encrypt"}, "e": "AQAB", "n": encode(g.Key.RSA().N.Bytes()),
		}},
	}
	if diff := cmp.Diff(want, claims["x-ms-runtime"]); diff != "" {
		t.Errorf("x-ms-runtime (-want +got):\n%s", diff)
	}
}

func TestTrustedLaunchGuest(t *testing.T) {
	g := newGuest(t, false, swtpm.Config{CertificateSize: 2048})
	info := g.Info(t)
	claims := g.attest(t, g.guestInstance(t, maa.Config{}), info.Body(t))
	if claims["secureboot"] != true || claims["x-ms-azurevm-vmid"] != g.vtpm.VMID() || claims["x-ms-attestation-type"] != "azurevm" {
		t.Errorf("claims: %v", claims)
	}
	if inner, some := claims["x-ms-isolation-tee"]; some {
		t.Errorf("it claims to be isolated: %v", inner)
	}
	checkRuntime(t, g, claims, info)
}

// TestOtherFormsOfGuests checks that the variants that clients in use send have
// the same result.
func TestOtherFormsOfGuests(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	instance := g.guestInstance(t, maa.Config{})
	info := g.Info(t)
	info.OSVersionMajor, info.OSVersionMinor = "24", "4"
	standard := marshal(t, info)
	url := toURLAlphabet(t, standard)
	for name, body := range map[string][]byte{
		"numbers in strings":    azureguest.Wrap(t, standard),
		"base64url":             azureguest.Wrap(t, url),
		"as the specification":  marshal(t, map[string]string{"attestationInfo": encode(standard)}),
		"padded":                marshal(t, map[string]string{"AttestationInfo": base64.URLEncoding.EncodeToString(standard)}),
		"no payload and no log": withoutLog(t, *info),
	} {
		t.Run(name, func(t *testing.T) {
			claims := g.attest(t, instance, body)
			if claims["x-ms-azurevm-osversion-major"] != float64(24) {
				t.Errorf("claims: %v", claims)
			}
			_, payload := claims["x-ms-runtime"].(map[string]any)["client-payload"]
			if strings.HasPrefix(name, "no ") && (payload || claims["secureboot"] != false) {
				t.Errorf("without payload and log: %v", claims)
			}
		})
	}
}

func withoutLog(t *testing.T, info azureguest.Info) []byte {
	t.Helper()
	info.TcgLogs, info.ClientPayload = nil, nil
	return info.Body(t)
}

// toURLAlphabet rewrites all strings, including those in the Proof.
func toURLAlphabet(t *testing.T, info []byte) []byte {
	t.Helper()
	document := object(t, info)
	evidence := document["IsolationInfo"].(map[string]any)["Evidence"].(map[string]any)
	proof, err := base64.StdEncoding.DecodeString(evidence["Proof"].(string))
	if err != nil {
		t.Fatal(err)
	}
	inner := object(t, proof)
	rewrite(inner)
	evidence["Proof"] = encode(marshal(t, inner))
	rewrite(document)
	return marshal(t, document)
}

func rewrite(members map[string]any) {
	for name, value := range members {
		switch value := value.(type) {
		case string:
			members[name] = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(value), "=")
		case map[string]any:
			rewrite(value)
		case []any:
			for _, element := range value {
				if inner, ok := element.(map[string]any); ok {
					rewrite(inner)
				}
			}
		}
	}
}

// TestSecureBootOfGuests checks that secure boot counts only if both the log
// and the HCL report it.
func TestSecureBootOfGuests(t *testing.T) {
	for _, confidential := range []bool{true, false} {
		g := newGuest(t, confidential, swtpm.Config{SecureBootOff: true})
		claims := g.attest(t, g.guestInstance(t, maa.Config{}), g.Info(t).Body(t))
		if claims["secureboot"] != false || claims["x-ms-azurevm-dbvalidated"] != false {
			t.Errorf("confidential %t: claims %v", confidential, claims)
		}
	}
	g := newGuest(t, true, swtpm.Config{})
	info := g.Info(t)
	off := strings.Replace(string(info.IsolationInfo.Evidence.RunTimeData), `"secure-boot":true`, `"secure-boot":false`, 1)
	info.SetReport(t, g.report(t, []byte(off)), g.Chain, []byte(off))
	if claims := g.attest(t, g.guestInstance(t, maa.Config{}), info.Body(t)); claims["secureboot"] != false {
		t.Error("secure boot is on although the HCL denies it")
	}
	g.AddQuote(t, info, 0, 1, 2, 3)
	g.Key = g.NewKey(t, 0, 1, 2, 3)
	g.AddKey(t, info, g.Key)
	g.AddReport(t, info)
	if claims := g.attest(t, g.guestInstance(t, maa.Config{}), info.Body(t)); claims["secureboot"] != false {
		t.Error("secure boot is on without PCR 7")
	}
}

// report returns a report of the processor over the claims.
func (g *guest) report(t *testing.T, claims []byte) []byte {
	t.Helper()
	report, err := g.chip.Report(snp.Bind(claims), snptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// certified replaces the key by one of a changed template and has the AK
// certify it.
func (g *guest) certified(t *testing.T, info *azureguest.Info, change func(*tpm2.TPMTPublic)) {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(g.vtpm.Address(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answers have arrived
	device := transport.FromReadWriter(conn)
	area, err := tpm2.Unmarshal[tpm2.TPM2BPublic](g.Key.Area())
	if err != nil {
		t.Fatal(err)
	}
	template, err := area.Contents()
	if err != nil {
		t.Fatal(err)
	}
	changed := *template
	change(&changed)
	changed.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: make([]byte, 256)})
	made, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHNull, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(changed),
	}.Execute(device)
	if err != nil {
		t.Fatal(err)
	}
	defer tpm2.FlushContext{FlushHandle: made.ObjectHandle}.Execute(device) //nolint:errcheck // the machine stops
	ak, err := tpm2.ReadPublic{ObjectHandle: attestationKey}.Execute(device)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := tpm2.Certify{
		ObjectHandle: tpm2.AuthHandle{Handle: made.ObjectHandle, Name: made.Name, Auth: tpm2.PasswordAuth(nil)},
		SignHandle:   tpm2.AuthHandle{Handle: attestationKey, Name: ak.Name, Auth: tpm2.PasswordAuth(nil)},
		InScheme:     tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
	}.Execute(device)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := statement.Signature.Signature.RSASSA()
	if err != nil {
		t.Fatal(err)
	}
	info.TpmInfo.EncKeyPub = tpm2.Marshal(made.OutPublic)
	info.TpmInfo.EncKeyCertifyInfo, info.TpmInfo.EncKeyCertifyInfoSignature = statement.CertifyInfo.Bytes(), signature.Sig.Buffer
}

func TestGuestForgeries(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	var next maa.Forgery
	instance := g.guestInstance(t, maa.Config{Forge: func() maa.Forgery { return next }})
	body := g.Info(t).Body(t)
	for _, forgery := range append(append(maa.Forgeries(), maa.EnvelopeForgeries()...), "") {
		next = forgery
		answer := post(instance, azureguest.Path, body)
		if answer.Code != http.StatusOK {
			t.Fatalf("%q: status %d: %s", forgery, answer.Code, answer.Body)
		}
		token, opening := g.Open(t, answer.Body.Bytes())
		var claims jwt.MapClaims
		var verifying error
		if opening == nil {
			claims, verifying = verifyToken(t, instance, token)
		}
		if !noticed(g, forgery, opening, verifying, claims) {
			t.Errorf("%q: opening: %v, verifying: %v, %v", forgery, opening, verifying, claims)
		}
	}
}

func noticed(g *guest, forgery maa.Forgery, opening, verifying error, claims jwt.MapClaims) bool {
	says := func(text string) bool { return opening != nil && strings.Contains(opening.Error(), text) }
	runtime, _ := claims["x-ms-runtime"].(map[string]any)
	switch forgery {
	case "":
		return opening == nil && verifying == nil
	case maa.ShortIV:
		return says("Iv")
	case maa.FlipEnvelope:
		return says("altered")
	case maa.OtherEnvelopeKey: // PKCS #1 v1.5 decryption fails
		return opening != nil
	case maa.OtherKEK:
		n := runtime["keys"].([]any)[0].(map[string]any)["n"]
		return opening == nil && verifying == nil && n != encode(g.Key.RSA().N.Bytes())
	case maa.WrongNonce:
		payload := runtime["client-payload"].(map[string]any)
		return opening == nil && verifying == nil && payload["nonce"] == "MA==" && payload["runtime-data"] != "MA=="
	}
	return opening == nil && verifying != nil
}
