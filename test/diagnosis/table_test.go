package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/internal/config"
	"skr/test/emulator"
	"skr/test/snptest"
)

// misconfiguration is a row of the table.
type misconfiguration struct {
	name  string
	fault string // rule of the emulator
	wrong func(*testing.T, *ward, *situation)

	check   string // "": the command refuses before any check
	words   string
	fix     string // words of the advice, which every failure has
	exit    int
	warning bool
	claim   string // of the first reason in the sidecar's refusal
}

// policy creates a key whose policy adds these conditions to the good ones.
func policy(more string) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		s.key = w.create(t, emulator.KeySpec{}, w.policy(","+more))
	}
}

// condition creates a key with only this condition.
func condition(text string) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		s.key = w.create(t, emulator.KeySpec{}, w.policyOf(w.cloud.AttestationHost(), text))
	}
}

func attributes(more map[string]any) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		s.key = w.create(t, emulator.KeySpec{Attributes: more}, w.policy(""))
	}
}

func locking(name string) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		s.key = w.create(t, emulator.KeySpec{Name: name}, w.policy(""))
	}
}

func env(assignments ...string) func(*testing.T, *ward, *situation) {
	return func(_ *testing.T, _ *ward, s *situation) { s.env = append(s.env, assignments...) }
}

// unreplaced is a pod off virtual nodes with the manifest for them.
func unreplaced(t *testing.T, w *ward, s *situation) {
	t.Helper()
	machine("unreplaced", emulator.MachineConfig{Certificates: emulator.AtIMDS})(t, w, s)
	s.env = append(s.env, config.VirtualNodeTHIM+"="+config.VirtualNodePlaceholder)
}

// machine adds another machine to the cloud.
func machine(name string, config emulator.MachineConfig) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		t.Helper()
		var err error
		if s.machine, err = w.cloud.AddMachine(name, config); err != nil {
			t.Fatal(err)
		}
	}
}

func workload(change func(*ward, []string) []string) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		t.Helper()
		assigned, err := w.cloud.WorkloadIdentity()
		if err != nil {
			t.Fatal(err)
		}
		s.env = append(s.env, change(w, assigned)...)
	}
}

func replace(name, value string) func(*ward, []string) []string {
	return func(_ *ward, assigned []string) []string {
		for i, a := range assigned {
			if strings.HasPrefix(a, name+"=") {
				assigned[i] = name + "=" + value
			}
		}
		return assigned
	}
}

// misconfigurations are those of containers and identities, and then of virtual machines.
// sinkOnDisk names a file on a file system that is none of memory.
func sinkOnDisk(_ *testing.T, _ *ward, s *situation) {
	s.env = append(s.env, fmt.Sprintf(`SKR_KEYS={"good":{"vault":%q,"key":"good","authority":%q}}`, s.vault, s.authority),
		`SKR_SINKS=[{"path":"/proc/key.pem","alias":"good","format":"pem"}]`)
}

var misconfigurations = slices.Concat(containers, identities, virtualMachines, tpmFaults)

// containers are faults of containers, in the order of a release.
var containers = []misconfiguration{
	{name: "the machine is not confidential, or the device is not mounted", wrong: env("SKR_REPORT_SOURCE=auto"),
		check: "report-source", words: "tried /dev/sev-guest (not present)", exit: 5},
	{name: "the report socket is at another path", wrong: env("SKR_REPORT_SOURCE=unix:/nonexistent/report.sock"),
		check: "report-source", words: "no SEV-SNP report from unix:/nonexistent/report.sock", exit: 5},
	{name: "the report service fails", fault: "report:status=500", check: "report-source", words: "no SEV-SNP report from unix:", exit: 5},
	{name: "the report service hangs", fault: "report:black-hole", check: "report-source", words: "no SEV-SNP report from unix:", exit: 5},
	{name: "`report_source` is misspelt", wrong: env("SKR_REPORT_SOURCE=sevguest"), words: `report source "sevguest": want auto`, exit: 2},

	{name: "the AMD roots belong to other silicon", wrong: env("SKR_AMD_ROOTS="), check: "report", words: "no certificate chain", exit: 5},
	{name: "the certificate cache is at another address", wrong: env("SKR_CERTIFICATE_SOURCES=thim", "SKR_THIM_URL=http://127.0.0.1:1/"),
		check: "report", words: "cannot be reached; try again later: host 127.0.0.1:1", exit: 4},
	{name: "the certificate cache has no certificate for this chip", fault: "imds/thim:status=404",
		wrong: env("SKR_CERTIFICATE_SOURCES=thim"), check: "report", words: "no certificate chain", exit: 5},
	{name: "the certificate cache throttles", fault: "imds/thim:status=429", wrong: env("SKR_CERTIFICATE_SOURCES=thim"),
		check: "report", words: "certificate cache is throttling requests", exit: 4},
	{name: "the certificate cache of the node has no certificate for this chip", fault: "proxy/thim:status=404",
		wrong: machine("fabric", emulator.MachineConfig{Certificates: emulator.AtFabric}),
		check: "certificate-cache", words: "(Fabric_NodeIPOrFQDN): answered with status 404", warning: true},
	{name: "the placeholder for the certificate cache was not replaced", wrong: unreplaced,
		check: "optional-parts", words: "VN2_THIM_ENDPOINT: the placeholder was not replaced", warning: true},
	{name: "the placeholder for the certificate cache is in `thim_url`", wrong: env("SKR_THIM_URL=" + config.VirtualNodePlaceholder),
		words: "the placeholder was not replaced", exit: 2},
	{name: "the host certificate is a copy from before a firmware update", wrong: func(t *testing.T, w *ward, s *situation) {
		older := w.cloud.Chip().TCB().Components()
		older.SNP--
		tcb := older.TCB(snp.Milan)
		machine("older", emulator.MachineConfig{Report: snptest.Options{ReportedTCB: &tcb}})(t, w, s)
		s.env = append(s.env, "SKR_CERTIFICATE_SOURCES=host")
	}, check: "report", words: "no certificate chain", exit: 5},
	{name: "the host reports a lower TCB than it runs", wrong: func(t *testing.T, w *ward, s *situation) {
		newer := w.cloud.Chip().TCB().Components()
		newer.Microcode++
		tcb := newer.TCB(snp.Milan)
		machine("newer", emulator.MachineConfig{Report: snptest.Options{CurrentTCB: &tcb}})(t, w, s)
	}, check: "tcb", words: "the firmware that runs is", warning: true},

	{name: "the container group may be debugged", wrong: machine("debug", emulator.MachineConfig{Report: snptest.Options{Policy: 0xb001f}}),
		check: "guest-policy", words: "the host may read this machine's memory", warning: true, exit: 3},
	{name: "the security context is not mounted", wrong: env("UVM_SECURITY_CONTEXT_DIR=/nonexistent"),
		check: "security-context", words: "no security context is mounted", warning: true},
	{name: "the security context is a copy from another machine", wrong: func(t *testing.T, w *ward, s *situation) {
		other := &situation{}
		machine("source", emulator.MachineConfig{Report: snptest.Options{Measurement: snp.Measurement{1}}})(t, w, other)
		s.env = append(s.env, "UVM_SECURITY_CONTEXT_DIR="+other.machine.SecurityContext())
	}, check: "security-context", words: "the utility VM endorsement is for measurement", warning: true},
	{name: "the mounted policy differs from the enforced one", wrong: func(t *testing.T, w *ward, s *situation) {
		other := &situation{}
		machine("workload", emulator.MachineConfig{Policy: "package another"})(t, w, other)
		s.env = append(s.env, "UVM_SECURITY_CONTEXT_DIR="+other.machine.SecurityContext())
	}, check: "security-context", words: "and this machine enforces HOST_DATA", warning: true},
	{name: "the utility VM endorsement is missing", wrong: machine("unendorsed", emulator.MachineConfig{Unendorsed: true}),
		check: "security-context", words: "there is no utility VM endorsement", warning: true},
	{name: "the utility VM endorsement is not base64", wrong: env("UVM_SECURITY_CONTEXT_DIR=", "UVM_REFERENCE_INFO=@"),
		check: "optional-parts", words: "reading UVM_REFERENCE_INFO: illegal base64", warning: true},
	{name: "unusable endorsement, policy on compliance", wrong: func(t *testing.T, w *ward, s *situation) {
		s.key = w.create(t, emulator.KeySpec{}, w.policy(`,{"claim":"x-ms-compliance-status","equals":"azure-compliant-uvm"}`))
		s.env = append(s.env, "UVM_SECURITY_CONTEXT_DIR=", "UVM_REFERENCE_INFO=AAAA")
	}, check: "security-context", words: "endorsement cannot be used and is left out", warning: true, exit: 3, claim: "x-ms-compliance-status"},
	{name: "the host's certificate file is not what the platform wrote", wrong: env("UVM_SECURITY_CONTEXT_DIR=", "UVM_HOST_AMD_CERTIFICATE=e30="),
		check: "optional-parts", words: "the document cannot be used", warning: true},
	{name: "the directory `wrap_keys` is not mounted", wrong: env("SKR_WRAP_KEYS=/nonexistent"),
		check: "optional-parts", words: "opening the directory of keys", warning: true},
	{name: "the directory of a file in `sinks` is on a disk", wrong: sinkOnDisk, check: "sinks", words: "is not in memory", exit: 2},
	{name: "the protocol of the traces is not supported",
		wrong: env("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
		check: "optional-parts", words: "only http/protobuf is", warning: true},

	{name: "the authority's name does not resolve", wrong: func(_ *testing.T, _ *ward, s *situation) {
		s.authority = "typo.attest.invalid"
		s.env = append(s.env, "SKR_MAA_ALLOW=*.attest.invalid")
	}, check: "reach", words: "its name does not resolve", exit: 4},
	{name: "the vault's port is closed", wrong: func(_ *testing.T, _ *ward, s *situation) {
		s.vault = "demo.vault.localhost:1"
		s.env = append(s.env, "SKR_VAULT_ALLOW=*.vault.localhost:1")
	}, check: "reach", words: "nothing listens there", exit: 4},
	{name: "a proxy intercepts TLS with its own CA", wrong: env("SKR_CA_FILE="), check: "reach", words: "not by a CA that is trusted here", exit: 6},
	{name: "another server answers under the authority's name", fault: "maa:tls=wrong-name", check: "reach", words: "is for another name", exit: 6},
	{name: "the authority's certificate has expired", fault: "maa:tls=expired", check: "reach", words: "is not valid now", exit: 6},
	{name: "a firewall drops traffic to the authority", fault: "maa:black-hole", check: "reach", words: "does not answer in time", exit: 4},
	{name: "a firewall resets connections to the vault", fault: "vault:reset", check: "reach", words: "the vault cannot be reached", exit: 4},
	{name: "the authority is down", fault: "maa:status=503", check: "reach", words: "the attestation service is failing", exit: 4},
	{name: "the clock is ahead", fault: "maa:clock=-10m", check: "clock", words: "ahead of the service's", exit: 6},
	{name: "the clock is behind", fault: "maa:clock=+10m", check: "clock", words: "behind the service's", exit: 6},
	{name: "the clock is half a minute off", fault: "maa:clock=-30s", check: "clock", words: "ahead of the service's", warning: true},
	{name: "the instance metadata service is blocked", wrong: env("SKR_CERTIFICATE_SOURCES=host", "SKR_IMDS_URL=http://127.0.0.1:1"),
		check: "reach", words: "nothing listens there", exit: 4},

	{name: "no managed identity is assigned", fault: "imds/token:status=400", check: "identity", words: "assign that identity", exit: 3},
	{name: "the workload's federated credential is missing", wrong: workload(replace("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000001")),
		check: "identity", words: "Microsoft Entra ID", exit: 3},
	{name: "the tenant of the workload identity is wrong", wrong: workload(replace("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000002")),
		check: "identity", words: "Microsoft Entra ID", exit: 3},
	{name: "the projected token of the workload identity is not mounted", wrong: workload(replace("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token")),
		check: "identity", words: "the token file of the workload identity", exit: 4},
	{name: "the access token is for another audience", wrong: func(t *testing.T, w *ward, s *situation) {
		token, err := w.cloud.AccessToken(w.cloud.Host("demo", "managedhsm"))
		if err != nil {
			t.Fatal(err)
		}
		s.args = append(s.args, "--access-token-file", w.file(t, "other-audience", token))
	}, check: "key", words: "does not accept the access token; check that it is for the audience", exit: 3},
	{name: "the access token is malformed", wrong: func(t *testing.T, w *ward, s *situation) {
		s.args = append(s.args, "--access-token-file", w.file(t, "no-token", "hello"))
	}, check: "key", words: "does not accept the access token", exit: 3},

	{name: "the authority's policy refuses the machine", fault: "maa/attest:status=400", check: "attestation", words: "refused the evidence", exit: 3},
	{name: "the authority throttles", fault: "maa/attest:status=429", check: "attestation", words: "the attestation service is throttling requests", exit: 4},
	{name: "the authority's signing keys did not sign its tokens", fault: "maa/attest:forge=other-signature",
		check: "attestation", words: "its token's signature does not verify", exit: 6},

	{name: "the key's name is misspelt", wrong: func(_ *testing.T, _ *ward, s *situation) { s.key = "absent" },
		check: "key", words: "the vault has no key", exit: 3},
	{name: "the key has no such version", wrong: func(_ *testing.T, _ *ward, s *situation) { s.key = "good/0123456789abcdef0123456789abcdef" },
		check: "key", words: "the vault has no key", exit: 3},
	{name: "the key's name has an invalid character", wrong: func(_ *testing.T, _ *ward, s *situation) { s.key = "my_key" },
		words: "the key's name must be letters, digits and hyphens", exit: 2},
	{name: "the vault is not in `vault_allow`", wrong: func(_ *testing.T, _ *ward, s *situation) { s.vault = "other.vault.azure.net" },
		words: "vault_allow", exit: 3},
	{name: "the authority is not in `maa_allow`", wrong: func(_ *testing.T, _ *ward, s *situation) { s.authority = "attest.example.com" },
		words: "maa_allow", exit: 3},
	{name: "the key is disabled", wrong: attributes(map[string]any{"enabled": false}), check: "exportable", words: "the key is disabled", exit: 3},
	{name: "the key has expired", wrong: attributes(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		check: "exportable", words: "the vault still releases it", warning: true},
	{name: "the key is not valid yet", wrong: attributes(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		check: "exportable", words: "the key is not valid before", warning: true},
	{name: "the key is not exportable", wrong: func(t *testing.T, w *ward, s *situation) { s.key = w.create(t, emulator.KeySpec{}, nil) },
		check: "exportable", words: "the key is not exportable", exit: 3},
	{name: "the identity may not release keys", wrong: locking("locked-release"), check: "release", words: "Crypto Service Release User", exit: 3},
	{name: "the identity may neither read nor release keys", wrong: locking("locked-both"), check: "release",
		words: "skr cannot tell more, because this identity may not read the key", exit: 3},

	{name: "the policy is for another workload", wrong: policy(`{"claim":"x-ms-sevsnpvm-hostdata","equals":"` + strings.Repeat("ab", 32) + `"}`),
		check: "release-policy", words: "x-ms-sevsnpvm-hostdata equals", exit: 3, claim: "x-ms-sevsnpvm-hostdata"},
	{name: "the policy is for another platform", wrong: policy(`{"claim":"x-ms-compliance-status","equals":"azure-compliant-cvm"}`),
		check: "release-policy", words: `equals "azure-compliant-cvm", and it is "azure-compliant-uvm"`,
		exit: 3, claim: "x-ms-compliance-status"},
	{name: "the policy has the claims of a confidential VM",
		wrong: condition(`{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"}`),
		check: "release-policy", words: "there is no such claim", exit: 3, claim: "x-ms-isolation-tee.x-ms-compliance-status"},
	{name: "the policy requires a VM's token", wrong: condition(`{"claim":"x-ms-attestation-type","equals":"azurevm"}`),
		check: "release-policy", words: `x-ms-attestation-type equals "azurevm", and it is "sevsnpvm"`, exit: 3, claim: "x-ms-attestation-type"},
	{name: "the policy requires debugging", wrong: condition(`{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"true"}`),
		check: "release-policy", words: `x-ms-sevsnpvm-is-debuggable equals "true", and it is "false"`, exit: 3, claim: "x-ms-sevsnpvm-is-debuggable"},
	{name: "a boolean in the policy is capitalised", wrong: condition(`{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"False"}`),
		check: "release-policy", words: `equals "False", and it is "false"`, exit: 3, claim: "x-ms-sevsnpvm-is-debuggable"},
	{name: "a hash in the policy has upper-case digits", wrong: func(t *testing.T, w *ward, s *situation) {
		condition(`{"claim":"x-ms-sevsnpvm-hostdata","equals":"`+strings.ToUpper(w.cloud.Machine().HostData().String())+`"}`)(t, w, s)
	}, check: "release-policy", words: "x-ms-sevsnpvm-hostdata equals", exit: 3, claim: "x-ms-sevsnpvm-hostdata"},
	{name: "a claim in the policy is misspelt", wrong: condition(`{"claim":"x-ms-sevsnpvm-host-data","equals":"00"}`),
		check: "release-policy", words: "x-ms-sevsnpvm-host-data equals", exit: 3, claim: "x-ms-sevsnpvm-host-data"},
	{name: "the policy names another authority", wrong: func(_ *testing.T, w *ward, s *situation) {
		s.authority = w.cloud.Host("sharedweu.weu", "attest")
	}, check: "release-policy", words: "iss equals", exit: 3, claim: "iss"},
	{name: "the policy requires a newer UVM", wrong: policy(`{"claim":"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn","greaterOrEquals":"101"}`),
		check: "release-policy", words: `greaterOrEquals "101", and it is "100"`, exit: 3, claim: "x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn"},
	{name: "the policy pins another utility VM", wrong: policy(`{"claim":"x-ms-sevsnpvm-launchmeasurement","equals":"` + strings.Repeat("cd", 48) + `"}`),
		check: "release-policy", words: "x-ms-sevsnpvm-launchmeasurement equals", exit: 3, claim: "x-ms-sevsnpvm-launchmeasurement"},
	{name: "the policy requires newer firmware", wrong: policy(`{"claim":"x-ms-sevsnpvm-snpfw-svn","greaterOrEquals":255}`),
		check: "release-policy", words: `x-ms-sevsnpvm-snpfw-svn greaterOrEquals "255"`, exit: 3, claim: "x-ms-sevsnpvm-snpfw-svn"},
	{name: "an ordering operator in the policy compares text", wrong: policy(`{"claim":"x-ms-compliance-status","greater":"azure"}`),
		check: "release-policy", words: `x-ms-compliance-status greater "azure"`, exit: 3, claim: "x-ms-compliance-status"},
	{name: "the policy requires another privilege level than the guest's", wrong: policy(`{"claim":"x-ms-sevsnpvm-vmpl","equals":"2"}`),
		check: "release-policy", words: `x-ms-sevsnpvm-vmpl equals "2", and it is "0"`, exit: 3, claim: "x-ms-sevsnpvm-vmpl"},
	{name: "no endorsement, and the policy requires the compliance status", wrong: func(t *testing.T, w *ward, s *situation) {
		machine("bare", emulator.MachineConfig{Unendorsed: true})(t, w, s)
		policy(`{"claim":"x-ms-compliance-status","equals":"azure-compliant-uvm"}`)(t, w, s)
	}, check: "release-policy", words: "and there is no such claim", exit: 3, claim: "x-ms-compliance-status"},
	{name: "another workload requests the key", wrong: machine("stranger", emulator.MachineConfig{Policy: "package stranger"}),
		check: "release-policy", words: "x-ms-sevsnpvm-hostdata equals", exit: 3, claim: "x-ms-sevsnpvm-hostdata"},

	{name: "the vault refuses for another reason", fault: "vault/release:status=403", check: "release", words: "the key's release policy is met", exit: 3},
	{name: "the vault throttles releases", fault: "vault/release:status=429", check: "release", words: "the vault is throttling requests", exit: 4},
	{name: "the sidecar is not running", check: "local-api", words: "no sidecar that is ready answers", warning: true},
}
