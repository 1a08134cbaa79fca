package artefact

// Kind says what an artefact is.
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
	Bundle           Kind = "bundle"
)

// recogniser knows one kind.
type recogniser struct {
	kind Kind
	name string // for people
	// read decodes; its error is errOther for data of another kind. It is nil
	// for what only the absence of all others tells.
	read func(input) (content, error)
}

// kinds are tried in this order: what has a magic number first, and of JSON
// objects the special before the general.
var kinds = []recogniser{
	{Report, "SEV-SNP report", readReport},
	{HCLReport, "HCL report", readHCL},
	{Quote, "TPM quote", readQuote},
	{EventLog, "TCG event log", readEventLog},
	{PCRs, "PCR values", readPCRs},
	{Endorsement, "UVM endorsement", readEndorsement},
	{Chain, "VCEK certificate chain", readChain},
	{Certificates, "certificates", readCertificates},
	{Key, "key", readKey},
	{CCEPolicy, "CCE policy", readCCEPolicy},
	{ReleaseStatement, "release statement", readStatement},
	{MAAToken, "MAA token", readToken},
	{SignedObject, "JWS", readSigned},
	{MAARequest, "MAA request", readRequest},
	{THIM, "THIM document", readTHIM},
	{ReleasePolicy, "release policy", readPolicy},
	{KeyBundle, "key bundle", readKeyBundle},
	{KeySet, "key set", readKeySet},
	{Claims, "MAA claims", readClaims},
	{Bundle, "several artefacts", nil},
}

// Name is the kind for people.
func (k Kind) Name() string {
	for _, r := range kinds {
		if r.kind == k {
			return r.name
		}
	}
	return string(k)
}
