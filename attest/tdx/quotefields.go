package tdx

// Version returns the version of the quote's layout, 4 or 5.
func (q *Quote) Version() uint16 { return u16(q.raw, offVersion) }

// UserData returns the 20 bytes of the header that the quoting enclave chooses.
func (q *Quote) UserData() [userDataSize]byte { return [userDataSize]byte(q.raw[offUserData:]) }

// Is15 reports whether the body is that of TDX 1.5, with TEE_TCB_SVN_2 and MRSERVICETD.
func (q *Quote) Is15() bool { return len(q.body) == body15Size }

// TEETCBSVN returns the security versions of the TDX module when the TD was started.
func (q *Quote) TEETCBSVN() SVN { return SVN(q.body[offTEETCBSVN:]) }

// MRSEAM returns the measurement of the TDX module.
func (q *Quote) MRSEAM() Measurement { return q.measurement(offMRSEAM) }

// MRSIGNERSEAM returns the signer of the TDX module. It is zero for Intel.
func (q *Quote) MRSIGNERSEAM() Measurement { return q.measurement(offMRSIGNERSEAM) }

// SEAMAttributes returns the attributes of the TDX module. They are zero.
func (q *Quote) SEAMAttributes() uint64 { return u64(q.body, offSEAMATTRIBUTES) }

// Attributes returns TDATTRIBUTES.
func (q *Quote) Attributes() Attributes { return Attributes(u64(q.body, offTDATTRIBUTES)) }

// XFAM returns the extended features of the processor that the TD may use.
func (q *Quote) XFAM() uint64 { return u64(q.body, offXFAM) }

// MRTD returns the measurement of the TD at its start: on Azure, of the paravisor.
func (q *Quote) MRTD() Measurement { return q.measurement(offMRTD) }

// MRCONFIGID returns what the owner chose to identify the configuration.
func (q *Quote) MRCONFIGID() Measurement { return q.measurement(offMRCONFIGID) }

// MROWNER returns what the owner chose to identify itself.
func (q *Quote) MROWNER() Measurement { return q.measurement(offMROWNER) }

// MROWNERCONFIG returns what the owner chose to identify its configuration.
func (q *Quote) MROWNERCONFIG() Measurement { return q.measurement(offMROWNERCONFIG) }

// RTMRs returns RTMR0 to RTMR3, which software in the TD extends. They are zero on Azure.
func (q *Quote) RTMRs() [4]Measurement { return rtmrs(q.body, offRTMR) }

// ReportData returns the data that the software in the TD bound.
func (q *Quote) ReportData() ReportData { return ReportData(q.body[offREPORTDATA:]) }

// TEETCBSVN2 returns the security versions of the TDX module that runs now, which may be newer
// than those at the start, and false before TDX 1.5.
func (q *Quote) TEETCBSVN2() (SVN, bool) {
	if !q.Is15() {
		return SVN{}, false
	}
	return SVN(q.body[offTEETCBSVN2:]), true
}

// MRSERVICETD returns the measurement of the service TDs that are bound to the TD, and false
// before TDX 1.5. It is zero without a service TD.
func (q *Quote) MRSERVICETD() (Measurement, bool) {
	if !q.Is15() {
		return Measurement{}, false
	}
	return q.measurement(offMRSERVICETD), true
}

// QE returns the report of the quoting enclave.
func (q *Quote) QE() QEReport { return q.qe }

func (q *Quote) measurement(at int) Measurement { return Measurement(q.body[at:]) }

func rtmrs(raw []byte, at int) (all [4]Measurement) {
	for i := range all {
		all[i] = Measurement(raw[at+i*len(all[i]):])
	}
	return all
}
