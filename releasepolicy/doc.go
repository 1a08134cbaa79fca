// Package releasepolicy reads, evaluates, explains and compares key release policies.
//
// A vault keeps such a policy with each key that it may release. The policy names
// attestation services, its authorities, and the claims that a token of each must have. The
// vault releases the key to a caller that shows a token of one of the authorities, if the
// token's claims meet that authority's conditions:
//
//	{
//	  "version": "1.0.0",
//	  "anyOf": [{
//	    "authority": "https://sharedweu.weu.attest.azure.net",
//	    "allOf": [
//	      {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
//	      {"claim": "x-ms-sevsnpvm-guestsvn", "greaterOrEquals": 2}
//	    ]
//	  }]
//	}
//
// The language is defined in "Azure Key Vault secure key release policy grammar"
// (learn.microsoft.com/azure/key-vault/keys/policy-grammar) and in the page of that name for
// Managed HSM.
//
// [Parse] makes a [Policy]. Everything that the package does works on its tree of
// [Condition] values, which keep their lines and columns: [Policy.Evaluate] answers
// whether claims meet the policy and [Evaluation.Unmet] which conditions they do not meet,
// [Policy.Explain] adds hints for people, [Diff] compares what two policies mean, [Losses]
// says which tokens a change excludes, and [Policy.Normalised] writes a policy as a vault stores
// it. [New] makes a policy of conditions; [Policy.Allow] and [Policy.Retire] change the values
// that one admits.
//
// The package does not verify tokens: pass it claims of a token whose signature, issuer and
// times were checked. It does not ask a vault either. A vault may decide differently: the
// grammar leaves open how values of different types compare. [Policy.Evaluate] lists what
// this package assumes.
package releasepolicy
