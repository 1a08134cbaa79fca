package emulator_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/test/emulator"
	"skr/test/emulator/imds"
	"skr/test/snptest"
)

// TestHostProxy checks what the proxy of an ACI host serves: THIM alone, to a request with the
// header, and a VLEK only once a provider has loaded one.
func TestHostProxy(t *testing.T) {
	cloud := start(t, emulator.Config{Machine: emulator.MachineConfig{Certificates: emulator.AtVirtualNode}})
	var address string
	for _, variable := range cloud.Environment(cloud.Machine()) {
		if value, found := strings.CutPrefix(variable, "VN2_THIM_ENDPOINT="); found {
			address = value
		}
	}
	base, isTHIM := strings.CutSuffix(address, imds.CertificationPath)
	if !isTHIM || !strings.HasSuffix(base, ":2377") {
		t.Fatalf("VN2_THIM_ENDPOINT is %q", address)
	}
	vlek := address + "?productName=Milan"
	for _, step := range []struct {
		name, url, header string
		status            int
		leaf              string
	}{
		{"THIM", address, "true", 200, "SEV-VCEK"},
		{"no header", address, "", 400, ""},
		{"a token", base + imds.TokenPath, "true", 404, ""},
		{"a VLEK", vlek, "true", 404, ""},
		{"", "", "", 0, ""}, // the provider loads one
		{"a loaded VLEK", vlek, "true", 200, "SEV-VLEK"},
		{"of another line", address + "?productName=Genoa", "true", 404, ""},
	} {
		if step.name == "" {
			_, err := cloud.AddMachine("vlek", emulator.MachineConfig{Report: snptest.Options{SigningKey: snp.VLEK}})
			must(t, err)
			continue
		}
		status, body := ask(t, step.url, step.header)
		if status != step.status || step.leaf != "" && leafOf(t, body) != step.leaf {
			t.Errorf("%s: status %d, %.200s", step.name, status, body)
		}
	}
}

// TestVirtualMachineHasNoProxy checks that a machine without a proxy of the host is refused one.
func TestVirtualMachineHasNoProxy(t *testing.T) {
	cloud := start(t, emulator.Config{})
	for name, config := range map[string]emulator.MachineConfig{
		"kata": {Platform: emulator.AKSKata, Certificates: emulator.AtFabric}, "other": {Certificates: "moon"},
	} {
		if _, err := cloud.AddMachine(name, config); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func ask(t *testing.T, url, header string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	request.Header.Set("Metadata", header)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, body
}

func leafOf(t *testing.T, document []byte) string {
	t.Helper()
	chain, err := vcek.ParseTHIM(document)
	must(t, err)
	return chain.Certificates()[0].Subject.CommonName
}
