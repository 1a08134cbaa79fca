package execpolicy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/jose/sign1"
)

// Finding is something that its author may not have meant.
type Finding struct {
	// Rule is a stable name: import-svn, import-feed, import-issuer, import-includes,
	// container-in-feed or hash-changed.
	Rule string `json:"rule"`
	// Text says what was found and what to do.
	Text string `json:"text"`
}

// Findings judges the imports of a policy.
func (p *Policy) Findings() []Finding {
	var all []Finding
	for n, i := range p.Imports {
		for _, f := range i.findings() {
			f.Text = fmt.Sprintf("import %d (feed %s): %s", n+1, shorten(i.Feed), f.Text)
			all = append(all, f)
		}
	}
	return append(all, p.covered()...)
}

func (i Import) findings() (all []Finding) {
	for _, judge := range []func() (rule, text string){i.judgeSVN, i.judgeFeed, i.judgeIssuer} {
		if rule, text := judge(); text != "" {
			all = append(all, Finding{rule, text})
		}
	}
	return append(all, i.judgeIncludes()...)
}

func (i Import) judgeSVN() (rule, text string) {
	rule = "import-svn"
	least, err := i.MinimumSVN.Uint()
	switch {
	case i.MinimumSVN == "":
		return rule, "it has no minimum_svn; set it to the svn of the oldest fragment that may still run"
	case err != nil:
		return rule, "its minimum_svn is not a whole number; use decimal digits, such as \"1\""
	case least == 0:
		return rule, "its minimum_svn is 0, which allows a rollback to every older fragment of the signer; " +
			"set it to the svn of the oldest fragment that may still run"
	}
	return rule, ""
}

func (i Import) judgeFeed() (rule, text string) {
	if err := CheckFeed(i.Feed); err != nil {
		return "import-feed", "it admits nothing that is signed for the repository: " + err.Error()
	}
	return "", ""
}

func (i Import) judgeIssuer() (rule, text string) {
	if _, err := sign1.ParseDID(i.Issuer); err != nil {
		return "import-issuer", "it admits nothing: " + err.Error()
	}
	return "", ""
}

// wide are the parts that give the signer more than containers and fragments.
var wide = map[string]string{
	"namespace":          "with namespace in includes, the signer's Rego code takes part in every decision",
	"external_processes": "with external_processes in includes, the signer may start processes in the utility VM, outside of containers",
	"platform_rules":     "with platform_rules in includes, the signer may add mounts and variables to containers that others signed",
}

func (i Import) judgeIncludes() (all []Finding) {
	const rule = "import-includes"
	if len(i.Includes) == 0 {
		all = append(all, Finding{rule, `its includes are empty, so it admits nothing; add "containers"`})
	}
	for _, part := range i.Includes {
		if _, known := parts[part]; !known {
			all = append(all, Finding{rule, fmt.Sprintf("the part %q in includes is unknown; remove it", shorten(part))})
		}
		if text := wide[part]; text != "" {
			all = append(all, Finding{rule, text + "; remove it unless you need it"})
		}
	}
	return all
}

// covered finds containers of an image for which an import exists. Because of them the
// policy changes with each image.
func (p *Policy) covered() (all []Finding) {
	for _, c := range p.Containers {
		repository := Repository(c.ID)
		isFeed := func(i Import) bool { return i.Feed == repository && slices.Contains(i.Includes, "containers") }
		if repository == "" || !slices.ContainsFunc(p.Imports, isFeed) {
			continue
		}
		all = append(all, Finding{"container-in-feed", fmt.Sprintf(
			"the policy lists the container %q of %s, which a fragment could admit by the import for this feed; "+
				"without the container the policy's hash stays the same when the image changes", shorten(c.Name), shorten(repository))})
	}
	return all
}

// Repository returns an image's name without its tag and digest.
func Repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}

// CheckFeed returns an error unless the feed is REGISTRY/REPOSITORY. A feed with a tag or a
// digest never equals an import's, which has none.
func CheckFeed(feed string) error {
	registry, repository, found := strings.Cut(feed, "/")
	switch {
	case !found || registry == "" || repository == "" || strings.Contains(feed, "://"):
		return fmt.Errorf("feed %q must be REGISTRY/REPOSITORY", shorten(feed))
	case Repository(feed) != feed:
		return fmt.Errorf("feed %q must have no tag or digest: import rules name the repository", shorten(feed))
	}
	return nil
}

// MatchChain returns an error unless the import's issuer is the signer with this certificate
// chain, leaf first.
func (i Import) MatchChain(chain []*x509.Certificate) error {
	name, err := sign1.ParseDID(i.Issuer)
	if err != nil {
		return err
	}
	if _, err := name.Resolve(chain); err != nil {
		return errors.New("the issuer does not match the certificates: " + err.Error())
	}
	return nil
}
