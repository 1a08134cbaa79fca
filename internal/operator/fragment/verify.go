package fragment

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"skr/internal/jose/sign1"
	"skr/internal/operator/execpolicy"
)

// Fragment is a signed fragment whose signature, chain and issuer have been verified.
type Fragment struct {
	Issuer, Feed string
	// SVN is the security version number, of the Rego or of the header.
	SVN execpolicy.Number
	// Policy is the Rego that was signed.
	Policy *execpolicy.Policy

	message *sign1.Message
}

// Parse verifies a COSE_Sign1 and reads the Rego in it. The result is authentic: Issuer signed
// it. An import rule decides whether that issuer is acceptable; see [Fragment.Admitted].
func Parse(raw []byte) (*Fragment, error) {
	message, err := sign1.Verify(raw, execpolicy.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("verifying the fragment: %w", err)
	}
	f, err := read(message)
	if err != nil {
		return nil, fmt.Errorf("reading the fragment: %w", err)
	}
	return f, nil
}

func read(message *sign1.Message) (*Fragment, error) {
	policy, err := execpolicy.Parse(message.Payload)
	if err != nil {
		return nil, err
	}
	svn, err := svnOf(message, policy)
	if err != nil {
		return nil, err
	}
	if err := checkFragment(message.Payload, policy, svn); err != nil {
		return nil, err
	}
	return &Fragment{message.Issuer, message.Feed, svn, policy, message}, nil
}

// svnOf returns the number of the header, if it has one, or of the Rego. The utility VM refuses
// a fragment in which they differ (hcsshim, framework.rego: svn_ok_if_defined).
func svnOf(message *sign1.Message, policy *execpolicy.Policy) (execpolicy.Number, error) {
	number, found, err := message.SVN()
	if err != nil || !found {
		return policy.SVN, err
	}
	header := execpolicy.Number(strconv.FormatUint(number, 10))
	if policy.SVN == "" {
		return header, nil
	}
	if own, err := policy.SVN.Uint(); err != nil || own != number {
		return "", fmt.Errorf("the svn of the header is %s, and of the Rego %s", header, policy.SVN)
	}
	return header, nil
}

// Check returns an error unless text is the Rego of a fragment.
func Check(text []byte) error {
	policy, err := execpolicy.Parse(text)
	if err != nil {
		return err
	}
	return checkFragment(text, policy, policy.SVN)
}

// checkFragment refuses Rego that a utility VM would not take for a fragment.
func checkFragment(text []byte, policy *execpolicy.Policy, svn execpolicy.Number) error {
	if policy.Unread != nil {
		return policy.Unread
	}
	if !bytes.HasPrefix(text, []byte("package ")) {
		return errors.New("the Rego must have its package on the first line; the utility VM refuses it otherwise")
	}
	if err := checkNamespace(policy.Namespace); err != nil {
		return err
	}
	if svn == "" {
		return errors.New("the Rego has no rule svn")
	}
	_, err := svn.Uint()
	return err
}

// Text returns the signed Rego.
func (f *Fragment) Text() []byte { return f.message.Payload }

// Chain returns the signer's certificates, leaf first.
func (f *Fragment) Chain() []*x509.Certificate { return f.message.Chain }

// Import returns the rule by which a top-level policy admits this fragment and later ones.
func (f *Fragment) Import() execpolicy.Import {
	i := execpolicy.Import{Issuer: f.Issuer, Feed: f.Feed, MinimumSVN: f.SVN, Includes: []string{"containers"}}
	if len(f.Policy.Imports) > 0 {
		i.Includes = append(i.Includes, "fragments")
	}
	return i
}

// Admitted returns the first import of the policy that admits the fragment, or an error that
// says for each import why it does not.
func (f *Fragment) Admitted(policy *execpolicy.Policy) (execpolicy.Import, error) {
	if policy.Unread != nil {
		return execpolicy.Import{}, fmt.Errorf("the policy cannot be read as a whole: %w", policy.Unread)
	}
	if len(policy.Imports) == 0 {
		return execpolicy.Import{}, errors.New("the policy imports no fragments")
	}
	var reasons []error
	for n, i := range policy.Imports {
		err := i.Admits(f.Issuer, f.Feed, f.SVN)
		if err == nil {
			err = f.included(i)
		}
		if err == nil {
			return i, nil
		}
		reasons = append(reasons, fmt.Errorf("import %d (feed %s): %w", n+1, i.Feed, err))
	}
	return execpolicy.Import{}, errors.Join(reasons...)
}

// included returns an error if the import includes nothing that the fragment has. The utility VM loads
// such a fragment and starts none of its containers.
func (f *Fragment) included(i execpolicy.Import) error {
	var has []string
	if len(f.Policy.Containers) > 0 {
		has = append(has, "containers")
	}
	if len(f.Policy.Imports) > 0 {
		has = append(has, "fragments")
	}
	isIncluded := func(part string) bool { return slices.Contains(i.Includes, part) }
	if len(has) == 0 || slices.ContainsFunc(has, isIncluded) {
		return nil
	}
	return fmt.Errorf("its includes leave out what the fragment has: %s", strings.Join(has, " and "))
}

// Mismatches judges the imports for this fragment's feed whose issuer is not its signer.
func (f *Fragment) Mismatches(policy *execpolicy.Policy) (all []execpolicy.Finding) {
	for n, i := range policy.Imports {
		if i.Feed != f.Feed {
			continue
		}
		if err := i.MatchChain(f.Chain()); err != nil {
			all = append(all, execpolicy.Finding{Rule: "import-issuer", Text: fmt.Sprintf("import %d (feed %s): %v", n+1, i.Feed, err)})
		}
	}
	return all
}
