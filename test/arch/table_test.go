package arch

// allowed lists, for each package, the packages of this module that it may import. A
// package that is missing may import none.
var allowed = map[string][]string{

	// Foundations: they know nothing of key release.
	"internal/accept":       {},
	"internal/cache":        {},
	"internal/certificate":  {},
	"internal/check":        {"internal/refusal"},
	"internal/crash":        {},
	"internal/excerpt":      {},
	"internal/refusal":      {},
	"internal/sbom":         {},
	"internal/secmem":       {},
	"internal/singleflight": {"internal/crash"},
	"internal/strictjson":   {},
	"internal/strictyaml":   {"internal/strictjson"},
	"internal/textfile":     {},

	// JOSE.
	"internal/jose/jwk":     {"internal/strictjson"},
	"internal/jose/jws":     {"internal/jose/jwk"},
	"internal/jose/keywrap": {},
	"internal/jose/sign1":   {"internal/certificate"},

	// For applications, and for other modules.
	"api":                  {},
	"releasepolicy":        {"internal/excerpt", "internal/strictjson", "releasepolicy/claims"},
	"releasepolicy/claims": {},

	// Attestation.
	"attest": {
		"attest/firmware", "attest/snp", "attest/tdx", "attest/tpm", "attest/uvm", "attest/vcek", "attest/vtpm",
		"internal/azure/endpoint",
		"internal/jose/keywrap", "internal/observe/journal", "internal/refusal", "internal/secmem",
		"internal/strictjson",
	},
	"attest/maa": {
		"attest", "attest/snp", "attest/tdx", "attest/vtpm", "internal/azure/endpoint", "internal/cache", "internal/crash",
		"internal/jose/jwk", "internal/jose/jws", "internal/refusal", "internal/secmem", "internal/singleflight",
		"internal/strictjson",
	},
	"attest/firmware": {},
	"attest/snp":      {"attest/firmware"},
	"attest/tdx":      {"internal/certificate", "internal/crash", "internal/strictjson", "internal/strictyaml"},
	"attest/tpm":      {"attest/vtpm", "internal/jose/keywrap"},
	"attest/uvm":      {"internal/jose/sign1", "internal/strictjson"},
	"attest/vcek": {
		"attest/snp", "internal/certificate", "internal/crash", "internal/observe/journal", "internal/refusal",
		"internal/singleflight", "internal/strictjson",
	},
	"attest/vtpm": {"attest/snp", "attest/tdx", "internal/jose/jwk", "internal/strictjson"},

	// Azure: the services that are asked, and how.
	"internal/azure/cloud":    {},
	"internal/azure/endpoint": {"internal/secmem"},
	"internal/azure/entra": {
		"internal/azure/httpclient", "internal/crash", "internal/refusal", "internal/secmem",
		"internal/singleflight",
	},
	"internal/azure/httpclient": {"internal/cache", "internal/refusal"},
	"internal/azure/outbound": {
		"attest/tdx", "attest/vcek", "attest/vtpm", "internal/azure/entra", "internal/azure/httpclient", "internal/config",
		"internal/secmem",
	},

	// The vault, and the use case.
	"hsm": {
		"internal/azure/endpoint", "internal/azure/httpclient", "internal/certificate", "internal/crash",
		"internal/jose/jwk", "internal/jose/jws", "internal/jose/keywrap", "internal/refusal", "internal/secmem",
		"internal/textfile", "releasepolicy",
	},
	"keyrelease": {
		"attest", "hsm", "internal/cache", "internal/crash", "internal/jose/jws", "internal/jose/keywrap",
		"internal/refusal", "internal/secmem", "internal/singleflight", "internal/strictjson", "releasepolicy",
		"releasepolicy/claims",
	},

	// What is told.
	"internal/observe/audit":   {"internal/cache"},
	"internal/observe/journal": {},
	"internal/observe/metrics": {"internal/observe/journal"},
	"internal/observe/tracing": {"internal/observe/journal"},

	// What both programs share.
	"internal/cli": {
		"internal/check", "internal/config", "internal/hardening", "internal/observe/audit", "internal/refusal",
		"internal/sbom", "internal/secmem",
	},
	"internal/envelope":  {"hsm", "internal/jose/jwk", "internal/jose/keywrap", "internal/secmem", "internal/strictjson"},
	"internal/config":    {"attest", "attest/tdx", "hsm", "internal/azure/cloud", "internal/strictjson", "internal/strictyaml"},
	"internal/hardening": {},

	// What skr exec gives to the program that it runs.
	"internal/handover": {
		"hsm", "internal/cli", "internal/config", "internal/envelope", "internal/keyformat", "internal/secmem",
		"internal/secretfile",
	},
	"internal/secretfile": {},
	"internal/supervisor": {},

	// The sidecar. Its root package assembles, and knows the implementations.
	"internal/keyformat": {"hsm", "internal/secmem"},
	"internal/keyuse":    {"hsm", "internal/jose/jwk", "internal/jose/keywrap", "internal/secmem"},
	"internal/sidecar": {
		"api", "attest", "attest/maa", "attest/snp", "attest/tdx", "attest/uvm", "attest/vcek", "hsm", "internal/azure/entra",
		"internal/azure/httpclient", "internal/azure/outbound", "internal/config", "internal/crash",
		"internal/keyuse", "internal/observe/audit", "internal/observe/journal", "internal/observe/metrics", "internal/observe/tracing",
		"internal/refusal", "internal/sbom", "internal/secmem", "internal/sidecar/access", "internal/sidecar/coco", "internal/sidecar/csi",
		"internal/sidecar/doctor",
		"internal/sidecar/follow", "internal/sidecar/invault", "internal/sidecar/keyprovider", "internal/sidecar/keyvault",
		"internal/sidecar/limit", "internal/sidecar/ops", "internal/sidecar/sinks",
		"internal/sidecar/parties",
		"internal/sidecar/server", "internal/sidecar/serving", "internal/sidecar/sshagent", "keyrelease", "releasepolicy/claims",
	},
	"internal/sidecar/access": {"internal/cache", "internal/refusal", "internal/secmem"},
	"internal/sidecar/agent": {
		"attest/snp", "attest/tpm", "internal/crash", "internal/sidecar/serving", "internal/strictjson",
	},
	"internal/sidecar/coco": {
		"api", "attest", "attest/snp", "hsm", "internal/envelope", "internal/jose/jwk", "internal/jose/jws", "internal/keyformat",
		"internal/keyuse", "internal/secmem", "internal/sidecar/dialect", "internal/strictjson",
	},
	"internal/sidecar/csi": {
		"hsm", "internal/crash", "internal/jose/jws", "internal/observe/journal", "internal/refusal", "internal/secmem",
		"internal/sidecar/access", "internal/sidecar/csipb", "internal/sidecar/server", "internal/sidecar/serving",
		"internal/strictjson", "internal/strictyaml", "keyrelease",
	},
	"internal/sidecar/csipb": {},
	"internal/sidecar/doctor": {
		"attest", "attest/snp", "attest/tdx", "attest/uvm", "attest/vcek", "attest/vtpm", "hsm", "internal/azure/httpclient", "internal/check",
		"internal/crash", "internal/jose/jws", "internal/refusal", "internal/secmem", "internal/strictjson",
		"keyrelease", "releasepolicy",
	},
	"internal/sidecar/invault": {
		"hsm", "internal/cache", "internal/jose/jwk", "internal/keyuse", "internal/refusal", "internal/secmem", "keyrelease", "releasepolicy",
	},
	"internal/sidecar/dialect": {},
	"internal/sidecar/follow":  {"hsm", "internal/crash", "internal/refusal"},
	"internal/sidecar/sinks": {
		"hsm", "internal/crash", "internal/envelope", "internal/keyformat", "internal/refusal", "internal/secmem",
		"internal/secretfile",
	},
	"internal/sidecar/keyprovider":              {"internal/strictjson"},
	"internal/sidecar/keyproviderpb":            {},
	"internal/sidecar/keyproviderpb/ocicryptpb": {},
	"internal/sidecar/limit":                    {"internal/cache", "internal/refusal"},
	"internal/sidecar/ops":                      {"api", "internal/accept", "internal/crash", "internal/refusal", "internal/sidecar/serving"},
	"internal/sidecar/parties":                  {"attest", "hsm", "internal/observe/journal", "internal/secmem", "keyrelease"},
	"internal/sidecar/server": {
		"api", "attest", "attest/vtpm", "hsm", "internal/accept", "internal/cache", "internal/crash", "internal/jose/jwk", "internal/keyformat",
		"internal/keyuse",
		"internal/observe/journal",
		"internal/refusal", "internal/secmem", "internal/sidecar/access", "internal/sidecar/coco", "internal/sidecar/follow", "internal/sidecar/keyprovider",
		"internal/sidecar/keyproviderpb", "internal/sidecar/keyproviderpb/ocicryptpb", "internal/sidecar/keyspb", "internal/sidecar/limit",
		"internal/sidecar/ops", "internal/sidecar/serving", "internal/strictjson", "keyrelease",
	},
	"internal/sidecar/keyspb":   {},
	"internal/sidecar/keyvault": {"api", "internal/sidecar/dialect", "internal/strictjson"},
	"internal/sidecar/serving":  {"internal/cache"},
	"internal/sidecar/sshagent": {"internal/crash", "internal/sidecar/access", "internal/sidecar/server"},

	// For releases.
	"deploy/release/notices": {},
	"deploy/release/sbom":    {"internal/sbom"},

	// The operator's wing.
	"internal/operator/conformance": {"api", "attest/snp", "internal/check", "internal/refusal", "internal/strictjson"},
	"internal/operator/execpolicy":  {"internal/jose/sign1"},
	"internal/operator/fragment":    {"internal/jose/sign1", "internal/operator/execpolicy", "internal/strictjson"},
	"internal/operator/inspect": {
		"attest/snp", "attest/tdx", "attest/uvm", "attest/vcek", "attest/vtpm", "hsm", "internal/check", "internal/jose/jwk",
		"internal/jose/jws", "internal/operator/lint", "internal/strictjson", "internal/textfile", "releasepolicy",
		"releasepolicy/claims",
	},
	"internal/operator/lint": {
		"attest", "attest/snp", "attest/tdx", "internal/azure/endpoint", "internal/check", "internal/excerpt", "internal/jose/jws",
		"internal/strictjson", "internal/strictyaml", "internal/textfile", "releasepolicy", "releasepolicy/claims",
	},
	"internal/operator/login":   {"internal/azure/entra", "internal/azure/outbound", "internal/config", "internal/secmem"},
	"internal/operator/measure": {"internal/operator/execpolicy", "internal/textfile"},
	"internal/operator/inject":  {"internal/excerpt", "internal/operator/splice"},
	"internal/operator/migrate": {
		"internal/excerpt", "internal/operator/splice", "internal/strictjson", "internal/textfile", "releasepolicy", "releasepolicy/claims",
	},
	"internal/operator/provision": {"hsm", "internal/jose/jwk", "internal/refusal", "internal/secmem", "releasepolicy"},
	"internal/operator/rollout": {
		"internal/azure/endpoint", "internal/check", "internal/operator/lint", "internal/operator/measure",
		"internal/operator/provision", "internal/refusal", "internal/strictyaml", "releasepolicy", "releasepolicy/claims",
	},
	"internal/operator/splice":   {},
	"internal/operator/template": {"releasepolicy"},
	"internal/operator/verify": {
		"attest", "attest/maa", "attest/snp", "attest/tdx", "attest/vcek", "attest/vtpm", "hsm", "internal/azure/endpoint",
		"internal/check", "internal/operator/inspect", "internal/strictjson", "internal/strictyaml", "releasepolicy",
	},
}
