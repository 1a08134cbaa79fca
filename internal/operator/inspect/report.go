package inspect

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"skr/attest/snp"
	"skr/attest/vtpm"
)

// report is an SEV-SNP report. A version 2 report does not contain its product, which decides
// the layout of TCBs; the certificate does.
type report struct {
	*snp.Report
	product snp.Product
}

func recogniseReport(in input) (content, error) {
	if len(in.raw) != snp.ReportSize || in.text != nil || vtpm.IsHCL(in.raw) {
		return nil, errOther
	}
	parsed, err := snp.Parse(in.raw)
	if err != nil {
		return nil, err
	}
	return reportOf(parsed), nil
}

func reportOf(r *snp.Report) report { return report{r, r.Product()} }

func (r report) sections(time.Time) []Section {
	return []Section{
		r.identity(), guestPolicy(r.Policy()), r.platform(), platformInfo(r.PlatformInfo()),
		r.firmware(), r.tcbs(), r.mitigations(), r.signature(),
	}
}

func (r report) identity() Section {
	s := Section{Title: "Guest"}
	family, image := r.FamilyID(), r.ImageID()
	idKey, authorKey := r.IDKeyDigest(), r.AuthorKeyDigest()
	id, migrator := r.ReportID(), r.ReportIDMA()
	s.add("VERSION", decimal(r.Version()), "layout of the report")
	s.add("GUEST_SVN", decimal(r.GuestSVN()), "security version of the guest, from its ID block")
	s.add("VMPL", decimal(r.VMPL()), "privilege level that asked for the report, 0 is the highest")
	s.add("MEASUREMENT", r.Measurement().String(), "launch digest of the guest")
	s.add("HOST_DATA", r.HostData().String(), "what the host gave at launch: on Confidential ACI and Kata the SHA-256 of the CCE policy")
	s.add("REPORT_DATA", r.ReportData().String(), "what the guest chose: for Azure Attestation the SHA-256 of the runtime data and 32 zeros")
	s.add("FAMILY_ID", hex.EncodeToString(family[:]), "family of the guest, from its ID block")
	s.add("IMAGE_ID", hex.EncodeToString(image[:]), "image of the guest, from its ID block")
	s.add("ID_KEY_DIGEST", hex.EncodeToString(idKey[:]), "SHA-384 of the key that signed the ID block")
	s.add("AUTHOR_KEY_DIGEST", hex.EncodeToString(authorKey[:]), "SHA-384 of the key that certified the ID key, or zeros")
	s.add("REPORT_ID", hex.EncodeToString(id[:]), "names the guest for as long as it lives")
	s.add("REPORT_ID_MA", hex.EncodeToString(migrator[:]), "names its migration agent, all ones without one")
	return s
}

func (r report) platform() Section {
	s := Section{Title: "Processor"}
	if id, known := r.CPUID(); known {
		s.add("CPUID", fmt.Sprintf("%#02x %#02x %d", id.Family, id.Model, id.Stepping), "family, model and stepping: "+r.product.String())
	} else {
		s.add("CPUID", "", "a version 2 report does not say; the certificate names the product")
	}
	s.add("CHIP_ID", r.ChipID().String(), chipMeaning(r.ChipID()))
	return s
}

func chipMeaning(id snp.ChipID) string {
	if id.IsZero() {
		return "the host masks the chip's identity"
	}
	return "identity of the chip, as its certificate states it"
}

func (r report) firmware() Section {
	s := Section{Title: "Firmware"}
	s.add("CURRENT", r.CurrentVersion().String(), "version of the SNP firmware that runs")
	s.add("COMMITTED", r.CommittedVersion().String(), "version that cannot be rolled back")
	return s
}

func (r report) tcbs() Section {
	s := Section{Title: "TCB: patch levels of the firmware's parts, " + layoutOf(r.product)}
	s.addTCB("REPORTED_TCB", r.ReportedTCB(), r.product, "what the certificate of the signing key states")
	s.addTCB("CURRENT_TCB", r.CurrentTCB(), r.product, "what runs now")
	s.addTCB("COMMITTED_TCB", r.CommittedTCB(), r.product, "what cannot be rolled back")
	s.addTCB("LAUNCH_TCB", r.LaunchTCB(), r.product, "what ran when the guest was launched")
	return s
}

func (s *Section) addTCB(name string, t snp.TCB, p snp.Product, meaning string) {
	s.add(name, t.Hex(), snp.NewTCB(t.Raw(), p).String()+": "+meaning)
}

func layoutOf(p snp.Product) string {
	if p == snp.ProductUnknown {
		return "read as of Milan or Genoa, as the product is unknown"
	}
	return "in the layout of " + p.String()
}

// signature also shows KEY_INFO.
func (r report) signature() Section {
	s := Section{Title: "Signature, not verified here"}
	rLE, sLE := r.Signature()
	s.add("SIGNATURE_ALGO", decimal(r.SignatureAlgorithm()), "ECDSA P-384 with SHA-384")
	s.add("SIGNING_KEY", r.SigningKey().String(), signers[r.SigningKey()])
	s.addFlag("AUTHOR_KEY_EN", r.AuthorKeyEnabled(), [2]string{"AUTHOR_KEY_DIGEST is empty", "AUTHOR_KEY_DIGEST holds a digest"})
	s.addFlag("MASK_CHIP_KEY", r.ChipKeyMasked(), [2]string{"the chip's key may sign", "the host forbids the chip's key: there is no signature"})
	s.add("R", hex.EncodeToString(rLE), "little-endian")
	s.add("S", hex.EncodeToString(sLE), "little-endian")
	return s
}

var signers = map[snp.SigningKey]string{
	snp.VCEK:     "key of this chip at its REPORTED_TCB",
	snp.VLEK:     "key that AMD gave to the cloud provider",
	snp.Unsigned: "the report is not signed",
}

func decimal[T uint8 | uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }
