package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

// verifyOptions are the flags of skrctl verify. Each alias binds those that it had before.
type verifyOptions struct {
	viewOptions

	chain, runtimeData     string // reports
	authority, signingKeys string // tokens
	policy                 string // tokens, boot evidence
	vault                  string // release statements
	nonce, signature       string // boot evidence
}

// files returns the values of flags that name files.
func (o *verifyOptions) files() []string {
	return []string{o.chain, o.runtimeData, o.signingKeys, o.policy, o.signature}
}

// verifyFlag is a flag of skrctl verify with the subjects it applies to.
type verifyFlag struct {
	name     string
	value    func(*verifyOptions) *string
	subjects []verify.Subject
	group    string // title in help
	usage    string
}

// Titles in help.
const (
	forReports    = "Flags for reports"
	forTokens     = "Flags for tokens"
	forStatements = "Flags for release statements"
	forBoot       = "Flags for boot evidence"
)

var verifyFlags = []verifyFlag{
	{"chain", func(o *verifyOptions) *string { return &o.chain }, []verify.Subject{verify.Evidence, verify.Boot}, forReports,
		"file with VCEK, ASK and ARK as PEM, or a THIM document; also for boot evidence"},
	{"runtime-data", func(o *verifyOptions) *string { return &o.runtimeData }, []verify.Subject{verify.Evidence}, forReports,
		"file; REPORT_DATA must be its SHA-256"},
	{"policy", func(o *verifyOptions) *string { return &o.policy }, []verify.Subject{verify.Boot, verify.Token}, forBoot,
		"YAML file with the requirements (required); for tokens, a release policy that the token must meet"},
	{"nonce", func(o *verifyOptions) *string { return &o.nonce }, []verify.Subject{verify.Boot}, forBoot,
		"nonce that was sent, in hex; replaces the one of the policy"},
	{"signature", func(o *verifyOptions) *string { return &o.signature }, []verify.Subject{verify.Boot}, forBoot,
		"file with the signature of the quote, if the quote has none"},
	{"authority", func(o *verifyOptions) *string { return &o.authority }, []verify.Subject{verify.Token}, forTokens,
		"attestation service that must have issued the token"},
	{"signing-keys", func(o *verifyOptions) *string { return &o.signingKeys }, []verify.Subject{verify.Token}, forTokens,
		"file with the authority's keys, a JWKS or one certificate as PEM; if empty, they are fetched"},
	{"vault", func(o *verifyOptions) *string { return &o.vault }, []verify.Subject{verify.Statement}, forStatements,
		"host of the vault that made the release statement (required)"},
}

// bindAll adds all flags, grouped by subject.
func (o *verifyOptions) bindAll(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	for _, f := range verifyFlags {
		cmd.Flags().StringVar(f.value(o), f.name, "", f.usage)
		cmd.Flags().Lookup(f.name).Annotations = map[string][]string{config.InGroup: {f.group}}
	}
	o.bind(cmd)
}

// bindOnly adds the flags of an alias.
func (o *verifyOptions) bindOnly(cmd *cobra.Command, names ...string) {
	for _, f := range verifyFlags {
		if slices.Contains(names, f.name) {
			cmd.Flags().StringVar(f.value(o), f.name, "", f.usage)
		}
	}
	o.bind(cmd)
}

// checkApply refuses flags that do not apply to the subject, and a missing flag that it requires.
func (o *verifyOptions) checkApply(subject verify.Subject, artefact inspect.Artefact) error {
	for _, f := range verifyFlags {
		if *f.value(o) != "" && !slices.Contains(f.subjects, subject) {
			return cli.BadUsage(fmt.Errorf("--%s does not apply: it is for %s, and this is: %s", f.name, describeSubjects(f.subjects), artefact))
		}
	}
	if subject == verify.Boot && o.policy == "" {
		return cli.BadUsage(errors.New("--policy is needed: this is boot evidence, and the policy has the requirements (docs/vtpm.md); " +
			"with --runtime-data, only its report is verified"))
	}
	return nil
}

// subjectNames are the names of subjects in help and errors.
var subjectNames = map[verify.Subject]string{
	verify.Evidence: "reports", verify.Token: "tokens", verify.Statement: "release statements", verify.Boot: "boot evidence",
}

func describeSubjects(subjects []verify.Subject) string {
	var names []string
	for _, s := range subjects {
		names = append(names, subjectNames[s])
	}
	return strings.Join(names, " and ")
}
