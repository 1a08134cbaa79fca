package tdx

// Quote header (DCAP A.3.1), followed by the body in version 4, and by type and size of the
// body in version 5 (A.3.2).
const (
	offVersion   = 0  // u16
	offKeyType   = 2  // u16, 2: ECDSA P-256
	offTEE       = 4  // u32, 0x81: TDX
	offVendor    = 12 // 16 bytes
	offUserData  = 28 // 20 bytes
	headerSize   = 48
	offBodyType  = 48 // u16, version 5 only
	offBodySize  = 50 // u32, version 5 only
	header5Size  = 54
	version4     = 4
	version5     = 5
	keyTypeP256  = 2
	teeTDX       = 0x81
	bodyType10   = 2 // TD report of TDX 1.0
	bodyType15   = 3
	body10Size   = 584
	body15Size   = 648
	userDataSize = 20
)

// Quote body (DCAP A.3.2), offsets in it.
const (
	offTEETCBSVN      = 0   // 16 bytes
	offMRSEAM         = 16  // 48 bytes
	offMRSIGNERSEAM   = 64  // 48 bytes
	offSEAMATTRIBUTES = 112 // u64
	offTDATTRIBUTES   = 120 // u64
	offXFAM           = 128 // u64
	offMRTD           = 136 // 48 bytes
	offMRCONFIGID     = 184 // 48 bytes
	offMROWNER        = 232 // 48 bytes
	offMROWNERCONFIG  = 280 // 48 bytes
	offRTMR           = 328 // 4 times 48 bytes
	offREPORTDATA     = 520 // 64 bytes
	offTEETCBSVN2     = 584 // 16 bytes, TDX 1.5
	offMRSERVICETD    = 600 // 48 bytes, TDX 1.5
)

// Signature data (DCAP A.3.8 to A.3.11), offsets in it. A u32 with its size comes before it.
// Signatures are r and s, keys are x and y, 32 bytes each and big-endian.
const (
	offSignature      = 0   // 64 bytes
	offAttestationKey = 64  // 64 bytes
	offDataType       = 128 // u16, 6: QE report certification data
	offDataSize       = 130 // u32
	offQEReport       = 134 // 384 bytes
	offQESignature    = 518 // 64 bytes
	offAuthSize       = 582 // u16
	offAuth           = 584 // authentication data, then type and size of the inner certification data
	dataTypeQE        = 6
	dataTypePCKChain  = 5
	dataHeader        = 6 // u16 type and u32 size
)

// SGX report body of the quoting enclave (DCAP A.3.10), offsets in it.
const (
	qeCPUSVN     = 0   // 16 bytes
	qeMISCSELECT = 16  // u32
	qeATTRIBUTES = 48  // 16 bytes
	qeMRENCLAVE  = 64  // 32 bytes
	qeMRSIGNER   = 128 // 32 bytes
	qeISVPRODID  = 256 // u16
	qeISVSVN     = 258 // u16
	qeREPORTDATA = 320 // 64 bytes
	qeReportSize = 384
)

// TDREPORT_STRUCT (ABI, tables TDREPORT_STRUCT, REPORTMACSTRUCT, TEE_TCB_INFO and
// TDINFO_STRUCT), offsets in it.
const (
	repType       = 0   // u8, 0x81: TDX
	repSubtype    = 1   // u8
	repVersion    = 2   // u8; 0, or 1 if there is a SERVTD_HASH
	repReserved   = 3   // 13 bytes
	repCPUSVN     = 16  // 16 bytes
	repTCBHash    = 32  // 48 bytes, SHA-384 of TEE_TCB_INFO
	repInfoHash   = 80  // 48 bytes, SHA-384 of TDINFO
	repREPORTDATA = 128 // 64 bytes
	repMAC        = 224 // 32 bytes
	repMACEnd     = 256

	repTCBInfo        = 256 // TEE_TCB_INFO, 239 bytes
	repTEETCBSVN      = 264 // 16 bytes
	repMRSEAM         = 280 // 48 bytes
	repMRSIGNERSEAM   = 328 // 48 bytes
	repSEAMATTRIBUTES = 376 // u64
	repTEETCBSVN2     = 384 // 16 bytes, TDX 1.5
	repTCBInfoEnd     = 495

	repInfo         = 512 // TDINFO_STRUCT, 512 bytes
	repATTRIBUTES   = 512 // u64
	repXFAM         = 520 // u64
	repMRTD         = 528 // 48 bytes
	repMRCONFIGID   = 576 // 48 bytes
	repMROWNER      = 624 // 48 bytes
	repMROWNERCONF  = 672 // 48 bytes
	repRTMR         = 720 // 4 times 48 bytes
	repSERVTDHASH   = 912 // 48 bytes, version 1
	repReportLength = 1024
)
