package inspect

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"skr/attest/tdx"
)

// tdxQuote is a quote for TDX.
type tdxQuote struct{ *tdx.Quote }

func recogniseTDXQuote(in input) (content, error) {
	if !tdx.IsQuote(in.raw) {
		return nil, errOther
	}
	parsed, err := tdx.ParseQuote(in.raw)
	if err != nil {
		return nil, err
	}
	return tdxQuote{parsed}, nil
}

// tdReport is TDREPORT_STRUCT.
type tdReport struct{ *tdx.Report }

// recogniseTDXReport identifies a TD report by its size, its type and the reserved bytes after it.
func recogniseTDXReport(in input) (content, error) {
	if !tdx.IsReport(in.raw) {
		return nil, errOther
	}
	parsed, err := tdx.ParseReport(in.raw)
	if err != nil {
		return nil, err
	}
	return tdReport{parsed}, nil
}

func (q tdxQuote) evidence() Evidence { return Evidence{TDQuote: q.Quote} }

func (r tdReport) evidence() Evidence { return Evidence{TDReport: r.Report} }

func (q tdxQuote) sections(now time.Time) []Section {
	s := Section{Title: "TDX quote, not verified here"}
	s.add("version", strconv.Itoa(int(q.Version())), "layout of the quote")
	user := q.UserData()
	s.add("user data", hex.EncodeToString(user[:]), "of the header, chosen by the quoting enclave")
	if extra := q.Trailing(); extra > 0 {
		s.add("bytes after it", strconv.Itoa(extra), "NOT PART OF THE QUOTE: it does not verify with them")
	}
	s.addTD(q)
	if svn, has := q.TEETCBSVN2(); has {
		s.add("TEE_TCB_SVN_2", svn.String(), "security versions of the TDX module that runs now")
	}
	if service, has := q.MRSERVICETD(); has {
		s.add("MRSERVICETD", service.String(), "service TDs that are bound to the trust domain; zeros without one")
	}
	sections := []Section{s, attributeSection(q.Attributes()), qeSection(q.QE()), pckSection(q.PCK())}
	return append(sections, certificates(q.Certificates()).sections(now)...)
}

func (r tdReport) sections(time.Time) []Section {
	s := Section{Title: "TDX report, which only the processor that made it can verify"}
	s.add("version", strconv.Itoa(int(r.Version())), "of the structure")
	cpu, mac := r.CPUSVN(), r.MAC()
	s.add("CPUSVN", hex.EncodeToString(cpu[:]), "security version of the processor")
	s.addTD(r)
	s.add("TEE_TCB_SVN_2", r.TEETCBSVN2().String(), "security versions of the TDX module that runs now; zeros in TDX 1.0")
	if hash, has := r.SERVTDHash(); has {
		s.add("SERVTD_HASH", hash.String(), "service TDs that are bound to the trust domain")
	}
	s.add("MAC", hex.EncodeToString(mac[:]), "by the processor")
	return []Section{s, attributeSection(r.Attributes())}
}

// td are the fields that a quote and a report share.
type td interface {
	TEETCBSVN() tdx.SVN
	MRSEAM() tdx.Measurement
	MRSIGNERSEAM() tdx.Measurement
	SEAMAttributes() uint64
	XFAM() uint64
	MRTD() tdx.Measurement
	MRCONFIGID() tdx.Measurement
	MROWNER() tdx.Measurement
	MROWNERCONFIG() tdx.Measurement
	RTMRs() [4]tdx.Measurement
	ReportData() tdx.ReportData
}

func (s *Section) addTD(t td) {
	svn, major := t.TEETCBSVN().Module()
	s.add("TEE_TCB_SVN", t.TEETCBSVN().String(), fmt.Sprintf("security versions of the TDX module at the start: module %d, version %d", major, svn))
	s.add("MRSEAM", t.MRSEAM().String(), "measurement of the TDX module")
	s.add("MRSIGNERSEAM", t.MRSIGNERSEAM().String(), "signer of the TDX module: zeros for Intel")
	s.add("SEAMATTRIBUTES", fmt.Sprintf("%016x", t.SEAMAttributes()), "of the TDX module")
	s.add("MRTD", t.MRTD().String(), "measurement of the trust domain at its start: on Azure of the paravisor")
	for i, rtmr := range t.RTMRs() {
		s.add(fmt.Sprintf("RTMR%d", i), rtmr.String(), "measured at run time; zeros on Azure, whose vTPM measures instead")
	}
	s.add("MRCONFIGID", t.MRCONFIGID().String(), "chosen by the owner: the configuration")
	s.add("MROWNER", t.MROWNER().String(), "chosen by the owner: the owner")
	s.add("MROWNERCONFIG", t.MROWNERCONFIG().String(), "chosen by the owner: the owner's configuration")
	s.add("REPORTDATA", t.ReportData().String(), "what the paravisor chose: the SHA-256 of the runtime claims and 32 zeros")
	s.add("XFAM", fmt.Sprintf("%016x", t.XFAM()), "extended features of the processor")
}

// attributeBits are those of the Intel TDX Module ABI Specification, table ATTRIBUTES.
var attributeBits = []bit{
	{0, "DEBUG", [2]string{"the host may not debug the guest", "THE HOST MAY READ AND WRITE THE GUEST'S MEMORY"}},
	{28, "SEPT_VE_DISABLE", [2]string{"a page that is missing raises an exception in the guest", "a page that is missing ends the guest"}},
	{29, "MIGRATABLE", [2]string{"the guest stays on its machine", "THE GUEST MAY BE MOVED TO ANOTHER MACHINE"}},
	{30, "PKS", [2]string{"no supervisor protection keys", "supervisor protection keys are available"}},
	{31, "KL", [2]string{"no Key Locker", "Key Locker is available"}},
	{63, "PERFMON", [2]string{"no performance monitoring", "performance monitoring is available"}},
}

func attributeSection(a tdx.Attributes) Section {
	s := Section{Title: "ATTRIBUTES: how the trust domain was configured"}
	s.add("ATTRIBUTES", a.String(), "")
	s.addBits(uint64(a), attributeBits, 0)
	return s
}

func qeSection(r tdx.QEReport) Section {
	s := Section{Title: "Report of the quoting enclave, which names the key that signed the quote"}
	cpu, attributes, measured, signer := r.CPUSVN(), r.Attributes(), r.MRENCLAVE(), r.MRSIGNER()
	s.add("CPUSVN", hex.EncodeToString(cpu[:]), "security version of the processor")
	s.add("MISCSELECT", fmt.Sprintf("%08x", r.MISCSELECT()), "extended features of the enclave")
	s.add("ATTRIBUTES", hex.EncodeToString(attributes[:]), "of the enclave")
	s.add("MRENCLAVE", hex.EncodeToString(measured[:]), "measurement of the enclave")
	s.add("MRSIGNER", hex.EncodeToString(signer[:]), "signer of the enclave")
	s.add("ISVPRODID", strconv.Itoa(int(r.ISVPRODID())), "product; 2 is Intel's quoting enclave for TDX")
	s.add("ISVSVN", strconv.Itoa(int(r.ISVSVN())), "security version of the enclave")
	s.add("REPORTDATA", r.ReportData().String(), "SHA-256 of the attestation key and the authentication data")
	s.add("authentication data", hex.EncodeToString(r.AuthenticationData()), "")
	return s
}

func pckSection(p tdx.PCK) Section {
	s := Section{Title: "Platform, by its PCK certificate"}
	s.add("FMSPC", hex.EncodeToString(p.FMSPC[:]), "kind of platform, which TCB levels are for")
	s.add("PCEID", hex.EncodeToString(p.PCEID[:]), "provisioning certification enclave")
	s.add("PCESVN", strconv.Itoa(int(p.PCESVN)), "its security version")
	s.add("components", fmt.Sprint(p.SVNs), "security versions of the platform's 16 components")
	s.add("CPUSVN", hex.EncodeToString(p.CPUSVN[:]), "the same as one value")
	s.add("PPID", hex.EncodeToString(p.PPID[:]), "identity of the processor")
	return s
}
