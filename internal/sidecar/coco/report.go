package coco

import (
	"encoding/json"

	"skr/attest"
	"skr/attest/snp"
)

// numbers is bytes as the sev crate writes them: a list of numbers.
type numbers []byte

// MarshalJSON implements [json.Marshaler].
func (n numbers) MarshalJSON() ([]byte, error) {
	list := make([]uint16, len(n)) // encoding/json writes []byte as base64
	for i, b := range n {
		list[i] = uint16(b)
	}
	return json.Marshal(list)
}

// tcbVersion is TcbVersion of the sev crate. FMC is null before Turin.
type tcbVersion struct {
	FMC        *uint8 `json:"fmc"`
	Bootloader uint8  `json:"bootloader"`
	TEE        uint8  `json:"tee"`
	SNP        uint8  `json:"snp"`
	Microcode  uint8  `json:"microcode"`
}

type firmware struct {
	Major uint8 `json:"major"`
	Minor uint8 `json:"minor"`
	Build uint8 `json:"build"`
}

// attestationReport is AttestationReport of the sev crate, which verifiers put together to the
// signed bytes again (virtee/sev, src/firmware/guest/types/snp.rs). What a version of the report
// lacks is null.
type attestationReport struct {
	Version            uint32     `json:"version"`
	GuestSVN           uint32     `json:"guest_svn"`
	Policy             uint64     `json:"policy"`
	FamilyID           numbers    `json:"family_id"`
	ImageID            numbers    `json:"image_id"`
	VMPL               uint32     `json:"vmpl"`
	SignatureAlgo      uint32     `json:"sig_algo"`
	CurrentTCB         tcbVersion `json:"current_tcb"`
	PlatformInfo       uint64     `json:"plat_info"`
	KeyInfo            uint32     `json:"key_info"`
	ReportData         numbers    `json:"report_data"`
	Measurement        numbers    `json:"measurement"`
	HostData           numbers    `json:"host_data"`
	IDKeyDigest        numbers    `json:"id_key_digest"`
	AuthorKeyDigest    numbers    `json:"author_key_digest"`
	ReportID           numbers    `json:"report_id"`
	ReportIDMA         numbers    `json:"report_id_ma"`
	ReportedTCB        tcbVersion `json:"reported_tcb"`
	CPUFamily          *uint8     `json:"cpuid_fam_id"`
	CPUModel           *uint8     `json:"cpuid_mod_id"`
	CPUStep            *uint8     `json:"cpuid_step"`
	ChipID             numbers    `json:"chip_id"`
	CommittedTCB       tcbVersion `json:"committed_tcb"`
	Current            firmware   `json:"current"`
	Committed          firmware   `json:"committed"`
	LaunchTCB          tcbVersion `json:"launch_tcb"`
	LaunchMitigations  *uint64    `json:"launch_mit_vector"`
	CurrentMitigations *uint64    `json:"current_mit_vector"`
	Signature          signature  `json:"signature"`
}

type signature struct {
	R numbers `json:"r"`
	S numbers `json:"s"`
}

type certificate struct {
	Type string  `json:"cert_type"`
	Data numbers `json:"data"`
}

type snpJSON struct {
	Report attestationReport `json:"attestation_report"`
	Chain  []certificate     `json:"cert_chain"`
}

func snpEvidence(e *attest.Evidence) snpJSON {
	evidence := snpJSON{Report: reportOf(e.Report)}
	leaf := "VCEK"
	if e.Report.SigningKey() == snp.VLEK {
		leaf = "VLEK"
	}
	for i, one := range e.Chain.Certificates() {
		evidence.Chain = append(evidence.Chain, certificate{[]string{leaf, "ASK", "ARK"}[i], one.Raw})
	}
	return evidence
}

func reportOf(r *snp.Report) attestationReport {
	family, image, id, author := r.FamilyID(), r.ImageID(), r.IDKeyDigest(), r.AuthorKeyDigest()
	data, measurement, host, chip := r.ReportData(), r.Measurement(), r.HostData(), r.ChipID()
	own, agent := r.ReportID(), r.ReportIDMA()
	rLE, sLE := r.Signature()
	report := attestationReport{
		Version: r.Version(), GuestSVN: r.GuestSVN(), Policy: uint64(r.Policy()), FamilyID: family[:], ImageID: image[:],
		VMPL: r.VMPL(), SignatureAlgo: r.SignatureAlgorithm(), CurrentTCB: tcbOf(r.CurrentTCB()), PlatformInfo: r.PlatformInfo(),
		KeyInfo: r.KeyInfo(), ReportData: data[:], Measurement: measurement[:], HostData: host[:],
		IDKeyDigest: id[:], AuthorKeyDigest: author[:], ReportID: own[:], ReportIDMA: agent[:], ReportedTCB: tcbOf(r.ReportedTCB()),
		ChipID: chip[:], CommittedTCB: tcbOf(r.CommittedTCB()), Current: firmwareOf(r.CurrentVersion()),
		Committed: firmwareOf(r.CommittedVersion()), LaunchTCB: tcbOf(r.LaunchTCB()), Signature: signature{rLE, sLE},
	}
	if cpu, found := r.CPUID(); found {
		report.CPUFamily, report.CPUModel, report.CPUStep = &cpu.Family, &cpu.Model, &cpu.Stepping
	}
	if vector, found := r.LaunchMitigations(); found {
		report.LaunchMitigations = &vector
	}
	if vector, found := r.CurrentMitigations(); found {
		report.CurrentMitigations = &vector
	}
	return report
}

func tcbOf(t snp.TCB) tcbVersion {
	c := t.Components()
	written := tcbVersion{Bootloader: c.Bootloader, TEE: c.TEE, SNP: c.SNP, Microcode: c.Microcode}
	if t.Product() == snp.Turin {
		written.FMC = &c.FMC
	}
	return written
}

func firmwareOf(v snp.FirmwareVersion) firmware {
	return firmware{Major: v.Major, Minor: v.Minor, Build: v.Build}
}
