package uvm

// publisher is an issuer and feed of Microsoft's utility VMs, with the minimum security
// version number of a production build.
type publisher struct {
	issuer, feed string
	minimumSVN   uint64
}

// publishers are the roots of trust for UVM endorsements in Microsoft's own relying party
// (CCF, src/node/uvm_endorsements.h, default_uvm_roots_of_trust). The fingerprint is of
// "Microsoft Supply Chain RSA Root CA 2022". Builds of ContainerPlat below 100 are for tests.
var publishers = []publisher{
	{ // confidential containers on Azure Container Instances
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2",
		"ContainerPlat-AMD-UVM", 100,
	},
	{ // confidential containers on AKS
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.5",
		"ConfAKS-AMD-UVM", 1,
	},
}

// KnownIssuer reports whether this is a production endorsement by Microsoft. It is advice
// for operators. The Verifier decides whose endorsements count.
func (e *Endorsement) KnownIssuer() bool {
	for _, p := range publishers {
		if e.issuer == p.issuer && e.feed == p.feed && e.guestSVN >= p.minimumSVN {
			return true
		}
	}
	return false
}
