package stranger

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// runtimeText has spaces and an unusual order of members: its digest covers the bytes as
// sent.
const runtimeText = `{"keys": [{"use":"enc","kty":"RSA","n":"AQ","e":"AQAB"}],  "location":"East US"}`

func runtimeRequest(changes object) object {
	body := object{"runtime_data": base64.StdEncoding.EncodeToString([]byte(runtimeText))}
	for name, value := range changes {
		body[name] = value
	}
	return body
}

// TestAnswers calls each route except /key/release.
func TestAnswers(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		t.Run(fmt.Sprint("report version ", version), func(t *testing.T) {
			w := newWorld(t)
			w.report.version = version
			w.thim.document["tcbm"] = strings.ToLower(w.thim.document["tcbm"].(string))
			w.wantAnswers(t, w.start(t))
			if len(w.seen.at("vault")) != 0 {
				t.Error("a request for evidence called the vault")
			}
		})
	}
}

func (w *world) wantAnswers(t *testing.T, s *sidecar) {
	t.Helper()
	s.wantStatus(t)
	s.wantRaw(t)
	s.wantCombined(t, "")
	s.wantToken(t)
}

// wantStatus waits until the sidecar reports that it is ready.
func (s *sidecar) wantStatus(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		body := s.send(t, http.MethodGet, "/status", "", nil).wantOK(t).body
		if body["message"] == "Status OK" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("status: %v", body)
		case <-tick.C:
		}
	}
}

func (s *sidecar) wantRaw(t *testing.T) {
	t.Helper()
	body := s.post(t, "/attest/raw", runtimeRequest(nil)).wantOK(t).body
	text, _ := body["report"].(string)
	report, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	wantBound(t, report, milan().vcek)
}

// wantCombined verifies the evidence as a relying party does: the chain, the report
// against the chain, and the TCB against both.
func (s *sidecar) wantCombined(t *testing.T, uvm string) {
	t.Helper()
	body := s.post(t, "/attest/combined", runtimeRequest(nil)).wantOK(t).body
	part := func(name string) []byte {
		t.Helper()
		text, ok := body[name].(string)
		raw, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			t.Fatalf("%s is not base64: %v", name, err)
		}
		return raw
	}
	vcek, err := verifyChain(part("endorsements"))
	if err != nil {
		t.Fatalf("endorsements: %v", err)
	}
	report := part("evidence")
	wantBound(t, report, vcek)
	tcb := fmt.Sprintf("%016x", binary.LittleEndian.Uint64(report[atReportedTCB:]))
	if got, _ := body["endorsed_tcb"].(string); !strings.EqualFold(got, tcb) {
		t.Errorf("endorsed_tcb = %q, want the report's %q", got, tcb)
	}
	if got := base64.StdEncoding.EncodeToString(part("uvm_endorsements")); got != uvm {
		t.Errorf("uvm_endorsements are %d characters, want the file's %d", len(got), len(uvm))
	}
}

// wantToken requests a token and checks that it has the runtime data.
func (s *sidecar) wantToken(t *testing.T) {
	t.Helper()
	body := s.post(t, "/attest/maa", runtimeRequest(object{"maa_endpoint": authorityName})).wantOK(t).body
	token, _ := body["token"].(string)
	key, _ := authorityKey()
	claims, err := verifyJWS(token, &key.PublicKey)
	if err != nil {
		t.Fatalf("the token does not verify: %v", err)
	}
	if want := must(decode([]byte(runtimeText))); !reflect.DeepEqual(claims["x-ms-runtime"], any(want)) {
		t.Errorf("x-ms-runtime = %v, want %v", claims["x-ms-runtime"], want)
	}
	if claims["x-ms-sevsnpvm-microcode-svn"] != float64(0xDB) {
		t.Errorf("microcode = %v, want %d", claims["x-ms-sevsnpvm-microcode-svn"], 0xDB)
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the log holds the token")
	}
}

// wantBound checks that a report is from this chip and bound to the runtime data.
func wantBound(t *testing.T, report []byte, vcek *x509.Certificate) {
	t.Helper()
	if err := verifyReport(report, vcek); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(runtimeText))
	if want := append(digest[:], make([]byte, 32)...); !bytes.Equal(report[atReportData:atMeasurement], want) {
		t.Errorf("REPORT_DATA = %x, want %x", report[atReportData:atMeasurement], want)
	}
}

// TestUVMEndorsement gives the sidecar a genuine endorsement and a report with the
// endorsed measurement. The authority ignores the endorsement.
func TestUVMEndorsement(t *testing.T) {
	text := sample(t, "aci-security-context/reference-info-base64")
	endorsement := must(base64.StdEncoding.DecodeString(text))
	found := regexp.MustCompile(`"x-ms-sevsnpvm-launchmeasurement":\s*"([0-9a-f]{96})"`).FindSubmatch(endorsement)
	if found == nil {
		t.Fatal("the sample has no measurement")
	}
	w := newWorld(t)
	w.report.measurement = must(hex.DecodeString(string(found[1])))
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "reference-info-base64"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{"UVM_SECURITY_CONTEXT_DIR=" + directory}
	s := w.start(t)
	s.wantCombined(t, text)
	s.wantToken(t)
	w.wantRelease(t, s, nil)
}

// sample reads real data, which is not in this repository.
func sample(t *testing.T, name string) string {
	t.Helper()
	directory := os.Getenv("SKR_SAMPLES")
	if directory == "" {
		directory = filepath.Join("..", "..", "..", "shared", "samples")
	}
	raw, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Skipf("no samples (SKR_SAMPLES): %v", err)
	}
	return strings.TrimSpace(string(raw))
}
