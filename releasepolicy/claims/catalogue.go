package claims

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// isolation is the object of an AzureGuest token that holds the claims about the
// confidential machine below the guest.
const isolation = "x-ms-isolation-tee"

// Elsewhere returns the name that a claim of this name has in tokens of other protocols:
// below x-ms-isolation-tee, or without it. Tokens do not have every such claim.
func Elsewhere(path string) string {
	if inside, cut := strings.CutPrefix(path, isolation+"."); cut {
		return inside
	}
	return isolation + "." + path
}

// catalogue is sorted by name; byName has the index of each.
var catalogue, byName = compile(
	registered(), sevSNP("", containers), endorsements(), sevSNP(isolation+".", []Platform{CVM}), isolated(),
	tdx("", nil), tdx(isolation+".", confidential), azureVM(), measured())

func compile(tables ...[]Claim) (all []Claim, index map[string]int) {
	all = slices.Concat(tables...)
	slices.SortFunc(all, func(a, b Claim) int { return cmp.Compare(a.Name, b.Name) })
	index = make(map[string]int, len(all))
	for i, c := range all {
		index[c.Name] = i
	}
	return all, index
}

// registered returns the claims of every token (observed in tokens of 2022 to 2026;
// "Claim sets" in the service's documentation).
func registered() []Claim {
	all := []Claim{
		{Name: "iss", Kind: Text, Meaning: "authority that issued the token, as https://HOST", public: true},
		{Name: "iat", Kind: Time, Meaning: "when the token was issued", public: true},
		{Name: "nbf", Kind: Time, Meaning: "before this the token is not valid", public: true},
		{Name: "exp", Kind: Time, Meaning: "after this the token is not valid", public: true},
		{Name: "jti", Kind: Text, Meaning: "random identifier of the token"},
		{Name: "nonce", Kind: Text, Meaning: "what the request for the token carried to make it fresh"},
		{Name: "x-ms-ver", Kind: Text, Meaning: "version of the token's form", public: true},
		{Name: "x-ms-policy", Kind: Free, Meaning: "claims that the authority's own policy added"},
		{Name: "x-ms-policy-hash", Kind: Text, Meaning: "base64url SHA-256 of the authority's policy", public: true},
		{Name: "x-ms-policy-signer", Kind: Free, Meaning: "who signed the authority's policy"},
		{Name: "x-ms-runtime", Kind: Free, Meaning: "runtime data of the guest, bound through REPORT_DATA or the vTPM"},
		{Name: "x-ms-attestation-type", Kind: Text, Meaning: "protocol of the evidence", public: true,
			Values: map[Platform][]string{ACI: {"sevsnpvm"}, AKSKata: {"sevsnpvm"}, CVM: {"azurevm"}, CVMTDX: {"azurevm"}, TrustedLaunch: {"azurevm"}}},
	}
	return on(everywhere, append(all, Claim{Name: "x-ms-runtime.keys", Kind: List, Meaning: "public keys of the guest, in JWK form"})...)
}

// sevSNP returns the fields of an attestation report (AMD 56860, table "ATTESTATION_REPORT
// structure"); the names are those of Microsoft Azure Attestation. Which bits of
// GUEST_POLICY stand behind cxl to page-swap is UNCONFIRMED; nothing here depends on it.
func sevSNP(prefix string, platforms []Platform) []Claim {
	all := []Claim{
		integer("guestsvn", "security version of the guest, as its launch said"),
		integer("vmpl", "privilege level that asked for the report; 0 is the highest"),
		integer("bootloader-svn", "boot loader version of the reported TCB"),
		integer("tee-svn", "PSP operating system version of the reported TCB"),
		integer("snpfw-svn", "SNP firmware version of the reported TCB"),
		integer("microcode-svn", "microcode version of the reported TCB"),
		hex("familyId", "FAMILY_ID of the guest's identity block", 32),
		hex("imageId", "IMAGE_ID of the guest's identity block", 32),
		hex("launchmeasurement", "MEASUREMENT of the guest at launch", 96),
		hex("hostdata", "HOST_DATA: SHA-256 of the policy that says what may run in the guest", 64),
		hex("idkeydigest", "digest of the key that signed the guest's identity block", 96),
		hex("authorkeydigest", "digest of the key that certified the identity key", 96),
		hex("reportid", "identifier of the guest, new at each launch", 64),
		hex("chipid", "identifier of the processor; 16 digits on Turin", 128, 16),
		boolean("is-debuggable", "the host may read and write the guest's memory"),
		boolean("migration-allowed", "the guest may be given to a migration agent"),
		boolean("smt-allowed", "the guest may run beside another thread of a core"),
		boolean("singlesocket", "the guest must run on one socket"),
		boolean("cxl-allowed", "the guest's memory may lie on CXL devices"),
		boolean("mem-aes256-xts-required", "memory must be encrypted with AES-256-XTS"),
		boolean("rapl-disabled", "power measurements of the processor must be off"),
		boolean("ciphertext-hiding-dram-enabled", "the host must not see the memory's ciphertext"),
		boolean("page-swap-disabled", "the host must not swap the guest's pages"),
		{Name: "chip-family", Kind: Text, Meaning: "processor family, such as Milan, Genoa or Turin"},
	}
	for i := range all {
		all[i].Name, all[i].public = prefix+"x-ms-sevsnpvm-"+all[i].Name, true
	}
	// The guest chooses REPORT_DATA: it need not be a hash.
	reportData := hex(prefix+"x-ms-sevsnpvm-reportdata", "REPORT_DATA: SHA-256 of the runtime data, and zeros", 128)
	return on(platforms, append(all, reportData)...)
}

// endorsements returns the claims that a direct token has besides those of the report. The
// object is the payload of the utility VM's COSE endorsement.
func endorsements() []Claim {
	const (
		uvm     = "x-ms-sevsnpvm-uvm-endorsement"
		headers = "x-ms-sevsnpvm-uvm-endorsement-headers"
	)
	svn := integer(uvm+".x-ms-sevsnpvm-guestsvn", "security version of the utility VM; text in the token, and ordered as a number")
	all := []Claim{
		compliance("x-ms-compliance-status", map[Platform][]string{ACI: {"azure-compliant-uvm"}, AKSKata: {"azure-signed-katacc-uvm"}}),
		{Name: uvm, Kind: Object, Meaning: "endorsement of the utility VM's measurement"},
		svn,
		// UNCONFIRMED whether tokens carry it: newer endorsements do.
		integer(uvm+".x-ms-sevsnpvm-guestsvn-int", "security version of the utility VM, as a number"),
		hex(uvm+".x-ms-sevsnpvm-launchmeasurement", "endorsed MEASUREMENT of the utility VM", 96),
		{Name: headers, Kind: Object, Meaning: "who endorsed the utility VM"},
		{Name: headers + ".iss", Kind: Text, Meaning: "did:x509 of the endorsement's signer"},
		{Name: headers + ".feed", Kind: Text, Meaning: "product that the endorsement is for",
			Values: map[Platform][]string{ACI: {"ContainerPlat-AMD-UVM"}, AKSKata: {"ConfAKS-AMD-UVM"}}},
	}
	for i := range all {
		all[i].public = true
	}
	initTime := Claim{Name: "x-ms-inittime", Kind: Free, Meaning: "data bound through HOST_DATA"}
	return on(containers, append(all, initTime)...)
}

// isolated returns the claims below x-ms-isolation-tee that are not fields of the report.
func isolated() []Claim {
	const prefix = isolation + "."
	return on(confidential,
		Claim{Name: isolation, Kind: Object, Meaning: "claims about the confidential machine below the guest", public: true},
		Claim{Name: prefix + "x-ms-attestation-type", Kind: Text, Meaning: "technology that isolates the machine", public: true,
			Values: map[Platform][]string{CVM: {"sevsnpvm", "tdxvm"}, CVMTDX: {"tdxvm"}}},
		compliance(prefix+"x-ms-compliance-status", map[Platform][]string{CVM: {"azure-compliant-cvm"}, CVMTDX: {"azure-compliant-cvm"}}),
		Claim{Name: prefix + "x-ms-runtime", Kind: Free, Meaning: "keys and configuration of the vTPM, bound through REPORT_DATA"},
		Claim{Name: prefix + "x-ms-runtime.keys", Kind: List, Meaning: "public keys of the vTPM, in JWK form"},
	)
}

// azureVM returns the claims of the AzureGuest protocol.
func azureVM() []Claim {
	all := []Claim{
		boolean("bootdebug-enabled", "debugging of the boot loader is on"),
		boolean("dbvalidated", "the data base of allowed signatures is as expected"),
		boolean("dbxvalidated", "the data base of revoked signatures is as expected"),
		boolean("debuggersdisabled", "no kernel or hypervisor debugger is on"),
		boolean("default-securebootkeysvalidated", "Secure Boot uses the platform's own keys"),
		boolean("elam-enabled", "early launch of the antimalware driver is on"),
		boolean("flightsigning-enabled", "code with flight signatures is accepted"),
		boolean("hypervisordebug-enabled", "debugging of the hypervisor is on"),
		boolean("is-windows", "the guest runs Windows"),
		boolean("kerneldebug-enabled", "debugging of the kernel is on"),
		boolean("signingdisabled", "neither test nor flight signatures are accepted"),
		boolean("testsigning-enabled", "code with test signatures is accepted"),
		integer("hvci-policy", "policy of the hypervisor's code integrity"),
		integer("osversion-major", "major version of the operating system"),
		integer("osversion-minor", "minor version of the operating system"),
		{Name: "attestation-protocol-ver", Kind: Text, Meaning: "version of the AzureGuest protocol"},
		{Name: "osbuild", Kind: Text, Meaning: "build of the operating system"},
		{Name: "osdistro", Kind: Text, Meaning: "distribution of the operating system"},
		{Name: "ostype", Kind: Text, Meaning: "operating system, such as Linux or Windows"},
		{Name: "vmid", Kind: Text, Meaning: "identifier of the virtual machine, a GUID in upper case"},
	}
	for i := range all {
		all[i].Name = "x-ms-azurevm-" + all[i].Name
	}
	all = append(all, boolean("secureboot", "the machine booted with Secure Boot"))
	for i := range all {
		all[i].public = true
	}
	client := Claim{Name: "x-ms-runtime.client-payload", Kind: Free, Meaning: "what the caller of the attestation client passed"}
	return on(machines, append(all, client)...)
}

// measured returns the claims about platform configuration registers of the vTPM, PCR 0 to 23.
func measured() []Claim {
	const values = "x-ms-azurevm-attested-pcr-values"
	all := []Claim{
		{Name: "x-ms-azurevm-attested-pcrs", Kind: List, Meaning: "numbers of the attested PCRs"},
		{Name: values, Kind: Object, Meaning: "values of the attested PCRs, in tokens since 2025"},
	}
	for pcr := range 24 {
		number := strconv.Itoa(pcr)
		all = append(all, Claim{Name: values + ".pcr" + number, Kind: Base64, Meaning: "value of PCR " + number})
	}
	for i := range all {
		all[i].public = true
	}
	return on(machines, all...)
}

func on(platforms []Platform, all ...Claim) []Claim {
	for i := range all {
		all[i].Platforms = platforms
	}
	return all
}

func compliance(name string, values map[Platform][]string) Claim {
	return Claim{Name: name, Kind: Text, public: true, Values: values,
		Meaning: "that Microsoft knows the measurement; absent if it does not"}
}

func integer(name, meaning string) Claim { return Claim{Name: name, Kind: Integer, Meaning: meaning} }
func boolean(name, meaning string) Claim { return Claim{Name: name, Kind: Boolean, Meaning: meaning} }

func hex(name, meaning string, digits ...int) Claim {
	return Claim{Name: name, Kind: Hex, Digits: digits, Meaning: meaning}
}

// tdx returns the claims about a machine that TDX isolates ("Claim sets", TDX; observed at the
// top of a TdxVm token, and below x-ms-isolation-tee of an AzureGuest token). None of the
// platforms is attested by TdxVm: only machines outside Azure are.
func tdx(prefix string, platforms []Platform) []Claim {
	all := []Claim{
		hex("tdx_mrtd", "MRTD: measurement of the machine at launch", 96),
		hex("tdx_mrconfigid", "MRCONFIGID: configuration that the host gave", 96),
		hex("tdx_mrowner", "MROWNER: owner that the host named", 96),
		hex("tdx_mrownerconfig", "MROWNERCONFIG: the owner's configuration", 96),
		hex("tdx_mrseam", "MRSEAM: measurement of the TDX module", 96),
		hex("tdx_mrsignerseam", "MRSIGNERSEAM: signer of the TDX module", 96),
		hex("tdx_tee_tcb_svn", "versions of the TDX module", 32),
		hex("tdx_seam_attributes", "attributes of the TDX module", 16),
		hex("tdx_td_attributes", "attributes of the machine", 16),
		hex("tdx_xfam", "extended processor features of the machine", 16),
		integer("tdx_seamsvn", "security version of the TDX module"),
		boolean("tdx_td_attributes_debug", "the host may read and write the machine's memory"),
		boolean("tdx_td_attributes_key_locker", "the machine may use Key Locker"),
		boolean("tdx_td_attributes_perfmon", "the machine may use performance monitoring"),
		boolean("tdx_td_attributes_protection_keys", "the machine may use supervisor protection keys"),
		boolean("tdx_td_attributes_septve_disable", "exceptions for pages that are not accepted are off"),
		{Name: "dbgstat", Kind: Text, Meaning: "whether the host may debug the machine: enabled or disabled"},
		{Name: "eat_profile", Kind: Text, Meaning: "profile of the token"},
		{Name: "intuse", Kind: Text, Meaning: "intended use of the token"},
		{Name: "attester_tcb_status", Kind: Text, Meaning: "status of the machine's TCB, such as UpToDate"},
	}
	for i := range 4 {
		number := strconv.Itoa(i)
		all = append(all, hex("tdx_rtmr"+number, "value of runtime measurement register "+number, 96))
	}
	for i := range all {
		all[i].public = true
	}
	// The guest may choose REPORTDATA: it need not be a hash.
	all = append(all, hex("tdx_report_data", "REPORTDATA: SHA-256 of the runtime data, and zeros", 128))
	for i := range all {
		all[i].Name = prefix + all[i].Name
	}
	return on(platforms, all...)
}
