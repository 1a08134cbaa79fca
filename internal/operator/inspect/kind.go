package inspect

// Kind is what an artefact is.
type Kind string

// The kinds of artefacts. docs/artefacts.md describes each.
const (
	Report           Kind = "snp-report"
	HCLReport        Kind = "hcl-report"
	MAARequest       Kind = "maa-request"
	MAAToken         Kind = "maa-token"
	Claims           Kind = "claims"
	ReleaseStatement Kind = "release-statement"
	SignedObject     Kind = "jws"
	THIM             Kind = "thim"
	Chain            Kind = "certificate-chain"
	Certificates     Kind = "certificates"
	Endorsement      Kind = "uvm-endorsement"
	CCEPolicy        Kind = "cce-policy"
	ReleasePolicy    Kind = "release-policy"
	KeyBundle        Kind = "key-bundle"
	KeySet           Kind = "jwks"
	Key              Kind = "key"
	EventLog         Kind = "event-log"
	Quote            Kind = "tpm-quote"
	PCRs             Kind = "pcrs"
	Signature        Kind = "tpm-signature"
	SignedCBOR       Kind = "cose"
	KeyList          Kind = "key-list"
	KeyOperation     Kind = "key-operation"
	TDXQuote         Kind = "tdx-quote"
	TDXReport        Kind = "tdx-report"
	TDXCollateral    Kind = "tdx-collateral"
	TCBInfo          Kind = "tdx-tcb-info"
	QEIdentity       Kind = "tdx-qe-identity"
	CRL              Kind = "crl"
	Annotation       Kind = "annotation"
	KeyInfo          Kind = "key-info"
	AuditFile        Kind = "audit-file"
	Bundle           Kind = "bundle"
)

// recogniser knows one kind.
type recogniser struct {
	kind Kind
	name string // for people
	// recognise decodes data and returns errOther for data of another kind. It is nil for a kind
	// that is left when all others do not match.
	recognise func(input) (content, error)
	// members are the members of an object that recognise uses; nil if it uses the whole object.
	members []string
}

// kinds are tried in this order: kinds with a magic number first, and special JSON objects
// before general ones.
var kinds = []recogniser{
	{Report, "SEV-SNP report", recogniseReport, nil},
	{HCLReport, "HCL report", recogniseHCL, nil},
	{TDXQuote, "TDX quote", recogniseTDXQuote, nil},
	{TDXReport, "TDX report", recogniseTDXReport, nil},
	{Quote, "TPM quote", recogniseQuote, nil},
	{EventLog, "TCG event log", recogniseEventLog, nil},
	{PCRs, "PCR values", recognisePCRs, nil},
	{Signature, "TPM signature", recogniseSignature, nil},
	{Endorsement, "UVM endorsement", recogniseEndorsement, nil},
	{SignedCBOR, "COSE_Sign1, not a UVM endorsement", recogniseSignedCBOR, nil},
	{Chain, "VCEK certificate chain", recogniseChain, nil},
	{CRL, "certificate revocation list", recogniseCRL, nil},
	{Certificates, "certificates", recogniseCertificates, nil},
	{TDXCollateral, "TDX collateral", recogniseCollateral, collateralMembers},
	{TCBInfo, "TDX TCB info", recogniseTCBInfo, []string{"tcbInfo", "signature"}},
	{QEIdentity, "TDX QE identity", recogniseQEIdentity, []string{"enclaveIdentity", "signature"}},
	{Annotation, "key-provider annotation", recogniseAnnotation, nil},
	{KeyInfo, "key information", recogniseKeyInfo, nil},
	{AuditFile, "audit file", recogniseAuditFile, nil},
	{Key, "key", recogniseKey, nil},
	{CCEPolicy, "CCE policy", recogniseCCEPolicy, nil},
	{ReleaseStatement, "release statement", recogniseStatement, []string{"value"}},
	{MAAToken, "MAA token", recogniseToken, []string{"token"}},
	{SignedObject, "JWS", recogniseSigned, []string{"value"}},
	{MAARequest, "MAA request", recogniseRequest, []string{"report", "runtimeData", "initTimeData", "nonce"}},
	{THIM, "THIM document", recogniseTHIM, []string{"vcekCert", "certificateChain", "tcbm", "cacheControl"}},
	{ReleasePolicy, "release policy", recognisePolicy, nil},
	{KeyBundle, "key bundle", recogniseKeyBundle, nil},
	{KeyList, "list of keys", recogniseKeyList, nil},
	{KeyOperation, "key operation result", recogniseKeyOperation, nil},
	{KeySet, "key set", recogniseKeySet, nil},
	{Claims, "MAA claims", recogniseClaims, nil},
	{Bundle, "several artefacts", nil, nil},
}

// Name returns the name of the kind for people.
func (k Kind) Name() string {
	for _, r := range kinds {
		if r.kind == k {
			return r.name
		}
	}
	return string(k)
}
