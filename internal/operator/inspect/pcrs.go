package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"skr/attest/vtpm"
)

// pcrs are values of the SHA-256 bank.
type pcrs vtpm.PCRs

// maxPCRText bounds a list of PCRs: 24 lists of 32 numbers on lines of their own.
const maxPCRText = 64 << 10

var errNoPCRs = errors.New("these are not values of PCRs")

// recognisePCRs recognises an object of digests by the number of the PCR, a list of digests
// from PCR 0 on, and the file of tpm2-tools.
func recognisePCRs(in input) (content, error) {
	var values pcrs
	var err error
	switch {
	case in.isObject && len(in.object.Members()) > 0:
		values, err = objectPCRs(in.object.Members())
	case bytes.HasPrefix(in.text, []byte("[")) && len(in.text) <= maxPCRText:
		values, err = listPCRs(in.text)
	case in.text == nil:
		values, err = toolPCRs(in.raw)
	}
	if err != nil || len(values) == 0 {
		return nil, errOther
	}
	return values, nil
}

func objectPCRs(members map[string]any) (pcrs, error) {
	values := make(pcrs, len(members))
	for name, member := range members {
		pcr, err := strconv.Atoi(name)
		if err != nil || pcr < 0 || pcr >= vtpm.PCRCount || strconv.Itoa(pcr) != name {
			return nil, errNoPCRs
		}
		if values[pcr], err = pcrValue(member); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func pcrValue(member any) (vtpm.Digest, error) {
	text, _ := member.(string)
	if value, err := vtpm.ParseDigest(text); err == nil {
		return value, nil
	}
	raw, ok := bytesOf(member)
	if !ok || len(raw) != len(vtpm.Digest{}) {
		return vtpm.Digest{}, errNoPCRs
	}
	return vtpm.Digest(raw), nil
}

func listPCRs(text []byte) (pcrs, error) {
	var list []any
	if err := json.Unmarshal(text, &list); err != nil || !isPCRList(list) {
		return nil, errNoPCRs
	}
	values := make(pcrs, len(list))
	for pcr, member := range list {
		value, err := pcrValue(member)
		if err != nil {
			return nil, err
		}
		values[pcr] = value
	}
	return values, nil
}

func isPCRList(list []any) bool {
	for _, member := range list {
		if _, err := pcrValue(member); err != nil {
			return false
		}
	}
	return len(list) > 0 && len(list) <= vtpm.PCRCount
}

// Layout of a file that tpm2_quote --pcrs_format=serialized writes: the structures
// of the TPM as C has them on a little-endian machine (tpm2-tools, lib/pcr.c).
const (
	toolLists    = 4 + 16*8 // behind TPML_PCR_SELECTION of 16 banks
	toolList     = 4 + 8*66 // TPML_DIGEST of 8 digests
	toolValues   = toolLists + 4
	toolMaxLists = 3 // 24 PCRs
	sha256Bank   = 0x000b
)

func toolPCRs(raw []byte) (pcrs, error) {
	if len(raw) < toolValues {
		return nil, errNoPCRs
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	lists := int(min(u32(raw[toolLists:]), toolMaxLists+1))
	if u32(raw) != 1 || u16(raw[4:]) != sha256Bank || raw[6] != 3 || lists > toolMaxLists || len(raw) != toolValues+lists*toolList {
		return nil, errNoPCRs
	}
	selection := vtpm.Selection(raw[7]) | vtpm.Selection(raw[8])<<8 | vtpm.Selection(raw[9])<<16
	values := pcrs{}
	for at, pcr := range selection.List() {
		if at >= 8*lists {
			return nil, errNoPCRs
		}
		digest := raw[toolValues+at/8*toolList+4+at%8*66:]
		if u16(digest) != 32 {
			return nil, errNoPCRs
		}
		values[pcr] = vtpm.Digest(digest[2:34])
	}
	return values, nil
}

func (p pcrs) boot() Boot { return Boot{PCRs: vtpm.PCRs(p)} }

func (p pcrs) sections(time.Time) []Section {
	s := Section{Title: "PCRs, SHA-256"}
	for _, pcr := range vtpm.PCRs(p).Sorted() {
		s.add(fmt.Sprintf("PCR %d", pcr), p[pcr].String(), pcrMeaning(pcr))
	}
	return []Section{s}
}

// pcrMeanings are what a PCR measures on Azure ("TCG PC Client Platform Firmware
// Profile" 1.06, "PCR Usage"; microsoft/mu_msvm; UAPI group, TPM PCR registry).
var pcrMeanings = map[int]string{
	0: "firmware; changes with hosts", 1: "configuration of the firmware", 2: "option ROMs", 3: "configuration of option ROMs",
	4: "boot loader and kernel as the firmware started them", 5: "partition table, and leaving the firmware",
	6: "id of the VM", 7: "secure boot: keys, and who signed what was started", 8: "boot loader: commands and kernel command line",
	9: "boot loader: files, initrd", 10: "files that were used (IMA)", 11: "unified kernel image",
	12: "overridden command line, credentials", 13: "system extensions", 14: "shim: machine owner keys", 15: "system: machine id, volumes",
	16: "debugging: any program may reset it", 23: "applications: any program may reset it",
}

func pcrMeaning(pcr int) string {
	if meaning, known := pcrMeanings[pcr]; known {
		return meaning
	}
	return "dynamic launch: all ones until there is one"
}
