package execpolicy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"skr/internal/jose/sign1"
)

// Import admits the fragments of an issuer (confcom, docs/v1_json_file_format.md:
// fragments; hcsshim, framework.rego: candidate_fragments).
type Import struct {
	// Issuer is the did:x509 name of the signer.
	Issuer string `json:"issuer"`
	// Feed is the repository of the fragments, without a tag.
	Feed string `json:"feed"`
	// MinimumSVN is the lowest security version number that is admitted: decimal digits.
	MinimumSVN Number `json:"minimum_svn"`
	// Includes are the parts of a fragment that count: containers, fragments,
	// external_processes, namespace.
	Includes []string `json:"includes"`
}

// parts are the members of a fragment that an import can include (framework.rego,
// extract_fragment_includes), with what including each admits.
var parts = map[string]string{
	"containers":               "any container",
	"fragments":                "further fragments",
	"external_processes":       "any process outside of containers",
	"namespace":                "any Rego code",
	"platform_rules":           "further mounts and variables of any container",
	"transparency_trust_lists": "further transparency ledgers",
}

// String returns a sentence about what the import admits.
func (i Import) String() string {
	var admitted []string
	for _, part := range slices.Sorted(slices.Values(i.Includes)) {
		text, known := parts[part]
		if !known {
			text = strconv.Quote(shorten(part))
		}
		admitted = append(admitted, text)
	}
	if len(admitted) == 0 {
		admitted = []string{"nothing"}
	}
	svn := "any svn"
	if i.MinimumSVN != "" {
		svn = "svn ≥ " + string(i.MinimumSVN)
	}
	return fmt.Sprintf("admits %s that %s signs for feed %s with %s", list(admitted), signer(i.Issuer), shorten(i.Feed), svn)
}

func list(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// signer returns what people know an issuer by: its common name, or the purpose of its
// certificate.
func signer(issuer string) string {
	name, err := sign1.ParseDID(issuer)
	if err != nil {
		return strconv.Quote(shorten(issuer))
	}
	if common := name.CommonName(); common != "" {
		return strconv.Quote(common)
	}
	if purpose := name.Purpose(); purpose != "" {
		return "a certificate with purpose " + purpose
	}
	return strconv.Quote(shorten(issuer))
}

// shorten bounds what a message repeats of a policy.
func shorten(text string) string {
	const maxRunes = 200
	text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxRunes {
		return string(runes[:maxRunes]) + "…"
	}
	return text
}

// Admits returns an error that says why the import does not admit a fragment, or nil.
// The caller has verified the fragment's signature, issuer and feed.
func (i Import) Admits(issuer, feed string, version Number) error {
	least, err := i.MinimumSVN.Uint()
	if err != nil {
		return fmt.Errorf("minimum_svn of the import: %w", err)
	}
	have, err := version.Uint()
	switch {
	case i.Issuer != issuer:
		return fmt.Errorf("issuer is %s, and the import wants %s", shorten(issuer), shorten(i.Issuer))
	case i.Feed != feed:
		return fmt.Errorf("feed is %s, and the import wants %s", shorten(feed), shorten(i.Feed))
	case err != nil:
		return fmt.Errorf("svn of the fragment: %w", err)
	case have < least:
		return fmt.Errorf("svn is %d, and the import wants %d or higher", have, least)
	}
	return nil
}
