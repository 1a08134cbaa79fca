package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"skr/test/program"
)

// wrong has invalid values for each variable: malformed values, and well-formed values that
// name something unusable. Variables of optional parts have only malformed values here, see
// TestServeWithUnusableParts.
var wrong = map[string][]string{
	"SKR_LISTEN":               {"0.0.0.0:80", "localhost:http", "unix:relative"},
	"SKR_GRPC_LISTEN":          {"10.0.0.1:50000"},
	"SKR_CRYPTO_LISTEN":        {"localhost:8443", "unix:/run/skr.sock"}, // the first needs crypto_dir
	"SKR_CRYPTO_DIR":           {"relative"},
	"SKR_CRYPTO_NAMES":         {"*.azure.net", "10.0.0.1", ""},
	"SKR_CLOUD":                {"germany"},
	"SKR_OPS_LISTEN":           {"9090", ":70000"},
	"SKR_OPS_DOCTOR":           {"perhaps"},
	"SKR_REQUEST_TIMEOUT":      {"0s", "60"},
	"SKR_STOP_GRACE":           {"-1s"},
	"SKR_MAX_CONCURRENT":       {"0", "many"},
	"SKR_MAX_QUEUED":           {"0"},
	"SKR_MAX_STALE":            {"-1s", "long"},
	"SKR_FLEET_WINDOW":         {"-1s", "35"},
	"SKR_FLEET_MEMBER":         {"pod x"},
	"SKR_FLEET_IN_TURN":        {"perhaps"},
	"SKR_CALLER_RATE":          {"-1", "NaN"},
	"SKR_KEYS":                 {`{"a":{}}`, "{", "", `{"a":{"key":"k"},"A":{"key":"k"}}`},
	"SKR_ACCESS":               {"[{}]", "", "[]", "null", `[{"name":"a","uid":1,"UID":0,"routes":["*"]}]`},
	"SKR_REPORT_SOURCE":        {"sgx"},
	"SKR_TPM":                  {"tpm0"},
	"SKR_EVENT_LOG":            {"log"},
	"SKR_AK_ROOTS":             {"/nonexistent"},
	"SKR_SECURITY_CONTEXT_DIR": {"relative"},
	"SKR_CERTIFICATE_SOURCES":  {"mirror", ","},
	"SKR_THIM_URL":             {"host/path"},
	"SKR_IMDS_URL":             {"host"},
	"SKR_AZURE_CACHE_URL":      {"host"},
	"SKR_KDS_URL":              {"host"},
	"SKR_AMD_ROOTS":            {"/nonexistent", ""},
	"SKR_INTEL_ROOTS":          {"/nonexistent", "/dev/null", ""},
	"SKR_TCB_STATUS":           {"Revoked", "uptodate", ""},
	"SKR_COLLATERAL_SOURCES":   {"kds", "relative"},
	"SKR_PCCS_URL":             {"host"},
	"SKR_PCS_URL":              {"host"},
	"SKR_INTEL_ROOT_CRL_URL":   {"host"},
	"SKR_CA_FILE":              {"/nonexistent"},
	"SKR_MAA_ALLOW":            {"https://host"},
	"SKR_VAULT_ALLOW":          {"a/b", "", ","},
	"SKR_ATTESTATION_MAX_AGE":  {"-1s"},
	"SKR_SSH_AGENT_LISTEN":     {"localhost:1", "/run/agent.sock", "unix:agent.sock"},
	"SKR_KEK_BITS":             {"1024"},
	"SKR_KEY_CACHE_TTL":        {"-1s"},
	"SKR_WRAP_KEYS":            {"relative"},
	"SKR_LOG_LEVEL":            {"loud"},
	"SKR_LOG_FORMAT":           {"xml"},
	"SKR_AUDIT_FILE":           {"/nonexistent/audit", ""},
	"SKR_CONFIG":               {"/nonexistent", ""},

	"SkrSideCarArgs": {"no base64", "e30", "W10=", "eyJpZGVudGl0eSI6NX0=", "e317fQ=="}, // [], {"identity":5}, {}{}
	"Port":           {"http", "65536"},
	"LogLevel":       {"loud"},

	"AZURE_TENANT_ID":            {"00000000-0000-0000-0000-000000000001"}, // a part of a workload identity
	"AZURE_FEDERATED_TOKEN_FILE": {"/nonexistent/token"},
}

// unjudged fields accept any text. Only a service can judge the value, or it appears under
// another name above.
var unjudged = strings.Fields(`azure_cache_api_version azure_cache_client_id maa_api_version maa_user_agent
	vault_api_version client_id tenant_id federated_token_file authority_host
	security_policy host_certificate reference_info log_file`)

// A wrong variable ends the program at once. The last line of its output, which Kubernetes
// uses as the termination message, names the variable.
func TestWrongVariable(t *testing.T) {
	t.Parallel()
	for name, values := range wrong {
		for _, value := range values {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Parallel()
				run := exec.CommandContext(t.Context(), program.Path("skr"))
				run.Env = []string{name + "=" + value}
				if name != "SKR_LISTEN" && name != "Port" {
					run.Env = append(run.Env, "SKR_LISTEN="+program.FreeAddress(t))
				}
				if name == "SKR_AK_ROOTS" {
					run.Env = append(run.Env, "SKR_REPORT_SOURCE=vtpm")
				}
				out, err := run.CombinedOutput()
				exit, ended := errors.AsType[*exec.ExitError](err)
				if !ended || exit.ExitCode() != 2 {
					t.Fatalf("skr ended with %v, want exit code 2\n%s", err, out)
				}
				lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
				last := lines[len(lines)-1]
				if !strings.HasPrefix(last, "skr: configuration: ") || !strings.Contains(last, name) {
					t.Errorf("the last line does not name the variable: %s", last)
				}
			})
		}
	}
}

// Every field of the configuration is in wrong, or accepts any text.
func TestWrongVariablesAreAll(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), program.Path("skr"), "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := yaml.Unmarshal(out, &fields); err != nil {
		t.Fatal(err)
	}
	_, unvalued, _ := strings.Cut(string(out), "# without a value: ")
	unvalued, _, _ = strings.Cut(unvalued, "\n") // variables of libraries may follow
	for _, name := range strings.Split(unvalued, ", ") {
		fields[name] = nil
	}
	for _, name := range unjudged {
		delete(fields, name)
	}
	if len(fields) < 30 {
		t.Errorf("skr config prints %d fields that can be judged", len(fields))
	}
	for name := range fields {
		if wrong["SKR_"+strings.ToUpper(name)] == nil {
			t.Errorf("no wrong value of %s is tried", name)
		}
	}
}
