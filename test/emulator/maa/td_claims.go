package maa

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"skr/attest/tdx"
)

// tdProfile is the value of eat_profile.
const tdProfile = "https://aka.ms/maa-eat-profile-tdxvm"

// addClaims adds the claims about the TD, as in a token of 2023 in Azure's documentation
// (articles/attestation/trust-domain-extensions-eat-profile). UNCONFIRMED: whether the token
// of a quote of version 5 has claims about TEE_TCB_SVN_2 and MRSERVICETD.
func (e *tdEvidence) addClaims(_ *Instance, c map[string]any) {
	c["x-ms-attestation-type"] = "tdxvm"
	c["eat_profile"] = tdProfile
	c["intuse"] = "generic"
	if e.compliance != "" {
		c["x-ms-compliance-status"] = e.compliance
	}
	if e.status != "" {
		c["attester_tcb_status"] = string(e.status)
	}
	e.addMeasurements(c)
	e.addAttributes(c)
	if e.runtime.claims != nil {
		c["x-ms-runtime"] = e.runtime.claims
	}
}

func (e *tdEvidence) addMeasurements(c map[string]any) {
	q := e.quote
	for name, m := range map[string]tdx.Measurement{
		"mrtd": q.MRTD(), "mrconfigid": q.MRCONFIGID(), "mrowner": q.MROWNER(), "mrownerconfig": q.MROWNERCONFIG(),
		"mrseam": q.MRSEAM(), "mrsignerseam": q.MRSIGNERSEAM(),
	} {
		c["tdx_"+name] = m.String()
	}
	for n, m := range q.RTMRs() {
		c[fmt.Sprintf("tdx_rtmr%d", n)] = m.String()
	}
	svn, _ := q.TEETCBSVN().Module()
	c["tdx_seamsvn"] = svn // UNCONFIRMED: for modules of version 1
	c["tdx_tee_tcb_svn"] = q.TEETCBSVN().String()
	c["tdx_report_data"] = q.ReportData().String()
}

// addAttributes adds numbers as their bytes in memory.
func (e *tdEvidence) addAttributes(c map[string]any) {
	a := e.quote.Attributes()
	c["dbgstat"] = "disabled"
	if a.Debug() {
		c["dbgstat"] = "enabled"
	}
	for name, value := range map[string]uint64{
		"seam_attributes": e.quote.SEAMAttributes(), "td_attributes": uint64(a), "xfam": e.quote.XFAM(),
	} {
		c["tdx_"+name] = hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, value))
	}
	for name, value := range map[string]bool{
		"debug": a.Debug(), "key_locker": a.KeyLocker(), "perfmon": a.Perfmon(), "protection_keys": a.PKS(), "septve_disable": a.SEPTVEDisable(),
	} {
		c["tdx_td_attributes_"+name] = value
	}
}
