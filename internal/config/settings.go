// Package config reads the settings of skr and skrctl: one table of names, groups,
// defaults, help texts and checks, from which flags, variables, the fields of the YAML
// file, documents and `skr config` derive.
//
//	s, flags, err := config.Load(cmd.Flags(), config.OSEnvironment())
//
// Flags win over the environment, the environment over the file, the file over defaults.
// [Uses] names the settings that each command takes as flags. The package also translates
// the arguments and variables of the reference sidecar. It knows no command and no service.
package config

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Settings is the whole configuration. table has the names, defaults and meanings. The YAML field a_b
// is also SKR_A_B and --a-b.
type Settings struct {
	Listen         string
	GRPCListen     string
	CryptoListen   string
	CryptoDir      string
	CryptoNames    List
	SSHAgentListen string
	OpsListen      string
	OpsDoctor      bool
	RequestTimeout time.Duration
	StopGrace      time.Duration
	MaxConcurrent  int
	MaxQueued      int
	CallerRate     float64

	Keys   section[map[string]Alias]
	Access section[[]AccessRule]

	ReportSource       string
	TPM                string
	EventLog           string
	AKRoots            string
	SecurityContextDir string
	SecurityPolicy     string
	HostCertificate    string
	ReferenceInfo      string

	CertificateSources   List
	THIMURL              string
	IMDSURL              string
	AzureCacheURL        string
	AzureCacheAPIVersion string
	AzureCacheClientID   string
	KDSURL               string
	AMDRoots             string
	IntelRootsFile       string
	TCBStatus            List
	CollateralSources    List
	PCCSURL              string
	PCSURL               string
	IntelRootCRLURL      string
	CAFile               string

	MAAAllow      List
	MAAAPIVersion string
	MAAUserAgent  string

	VaultAllow      List
	VaultAPIVersion string

	ClientID           string
	TenantID           string
	FederatedTokenFile string
	AuthorityHost      string
	Cloud              string

	FleetWindow time.Duration
	FleetMember string
	FleetInTurn bool

	AttestationMaxAge time.Duration
	KEKBits           int
	KeyCacheTTL       time.Duration
	MaxStale          time.Duration
	WrapKeys          string

	LogLevel  string
	LogFile   string
	LogFormat string
	AuditFile string

	nodeCaches []CertificateCache // that the environment names

	unknown  []string // variables that look like settings but are not
	warnings []string // about values of the reference's names that skr ignores
	Unused   []string // settings without effect, which the server logs
	Steering []string // variables of libraries that the pod's identity ignores
	Origins  origins  // what set each field
}

// List is a setting of several words, separated by commas.
type List []string

var _ pflag.Value = (*List)(nil)

func (l *List) String() string { return strings.Join(*l, ",") }

// Type names the form in --help.
func (l *List) Type() string { return "list" }

// Set replaces the whole list.
func (l *List) Set(text string) error {
	*l = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

// FieldName returns the YAML name of a flag.
func FieldName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }
func envName(flag string) string   { return "SKR_" + strings.ToUpper(FieldName(flag)) }

// Automatic and VirtualTPM are values of report_source.
const (
	Automatic  = "auto"
	VirtualTPM = "vtpm"
)
