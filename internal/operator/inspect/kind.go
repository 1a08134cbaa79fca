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
	Annotation       Kind = "annotation"
	KeyInfo          Kind = "key-info"
	AuditFile        Kind = "audit-file"
	Bundle           Kind = "bundle"
)

// recogniser knows one kind.
type recogniser struct {
	kind Kind
	name string // for people
	// read decodes data and returns errOther for data of another kind. It is nil for a kind
	// that is left when all others do not match.
	read func(input) (content, error)
	// members are the members of an object that read uses; nil if it uses the whole object.
	members []string
}

// kinds are tried in this order: kinds with a magic number first, and special JSON objects
// before general ones.
var kinds = []recogniser{
	{Report, "SEV-SNP report", readReport, nil},
	{HCLReport, "HCL report", readHCL, nil},
	{TDXQuote, "TDX quote", readTDXQuote, nil},
	{TDXReport, "TDX report", readTDXReport, nil},
	{Quote, "TPM quote", readQuote, nil},
	{EventLog, "TCG event log", readEventLog, nil},
	{PCRs, "PCR values", readPCRs, nil},
	{Signature, "TPM signature", readSignature, nil},
	{Endorsement, "UVM endorsement", readEndorsement, nil},
	{SignedCBOR, "COSE_Sign1, not a UVM endorsement", readSignedCBOR, nil},
	{Chain, "VCEK certificate chain", readChain, nil},
	{Certificates, "certificates", readCertificates, nil},
	{Annotation, "key-provider annotation", readAnnotation, nil},
	{KeyInfo, "key information", readKeyInfo, nil},
	{AuditFile, "audit file", readAuditFile, nil},
	{Key, "key", readKey, nil},
	{CCEPolicy, "CCE policy", readCCEPolicy, nil},
	{ReleaseStatement, "release statement", readStatement, []string{"value"}},
	{MAAToken, "MAA token", readToken, []string{"token"}},
	{SignedObject, "JWS", readSigned, []string{"value"}},
	{MAARequest, "MAA request", readRequest, []string{"report", "runtimeData", "initTimeData", "nonce"}},
	{THIM, "THIM document", readTHIM, []string{"vcekCert", "certificateChain", "tcbm", "cacheControl"}},
	{ReleasePolicy, "release policy", readPolicy, nil},
	{KeyBundle, "key bundle", readKeyBundle, nil},
	{KeyList, "list of keys", readKeyList, nil},
	{KeyOperation, "key operation result", readKeyOperation, nil},
	{KeySet, "key set", readKeySet, nil},
	{Claims, "MAA claims", readClaims, nil},
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
