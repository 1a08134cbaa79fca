package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/migrate"
)

// migration are the flags of skrctl migrate.
type migration struct {
	file, to, out               string
	policy, policyOut, workload string
	identity, image, sidecar    string
	output                      string
}

func migrateCommand(streams cli.Streams) *cobra.Command {
	var m migration
	cmd := &cobra.Command{
		Use:   "migrate --to PLATFORM {-f FILE | --policy FILE}",
		Short: "Turn kata-cc manifests and policies into those of another platform",
		Long: "Reads Kubernetes manifests of AKS confidential containers (kata-cc), which Azure retired, and writes them for virtual\n" +
			"nodes on Azure Container Instances (aci-vn2), a pool of confidential virtual machines (aks-cvm), or open-source\n" +
			"Confidential Containers with peer pods (coco). With --policy it also translates the key's release policy. Order and\n" +
			"comments stay. Standard error lists what changed, what is not carried over and why, and the next steps.\n" +
			"Exit codes: 0 migrated, 2 unreadable or not for kata-cc, 3 an object cannot run on the platform and is unchanged.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd.Context(), streams) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&m.file, "file", "f", "", "manifests, one or several documents; - is standard input")
	flags.StringVar(&m.to, "to", "", "aci-vn2, aks-cvm or coco (required)")
	cli.OutFlag(cmd, &m.out, "file to write, mode 0644")
	flags.StringVar(&m.identity, "identity", "", "resource id of the managed identity of the container group, instead of workload identity (aci-vn2)")
	flags.StringVar(&m.image, "image", "", "image of the sidecar; kept if empty")
	flags.StringVar(&m.sidecar, "sidecar", "keep", "form of the sidecar: keep, native (an init container that always restarts) or plain")
	flags.StringVar(&m.policy, "policy", "", "release policy of the key, or a key with a policy, to translate; - is standard input")
	flags.StringVar(&m.policyOut, "policy-out", "", "file to write the translated policy to, mode 0644; - is standard output")
	flags.StringVar(&m.workload, "workload", "", "migrated manifest with its execution policy, whose HOST_DATA the policy gets (aci-vn2)")
	cli.OutputFlag(cmd, &m.output)
	return cmd
}

// migrated is what skrctl migrate prints with --output json.
type migrated struct {
	Manifests string         `json:"manifests,omitempty"`
	Policy    string         `json:"policy,omitempty"`
	Notes     []migrate.Note `json:"notes"`

	left int
}

func (m *migration) run(ctx context.Context, streams cli.Streams) error {
	target, form, err := m.check()
	if err != nil {
		return cli.BadUsage(err)
	}
	result := migrated{Notes: []migrate.Note{}}
	if m.file != "" {
		options := migrate.Options{To: target, Identity: m.identity, Image: m.image, Sidecar: form, File: named(m.out)}
		if err := m.manifests(&result, options, streams); err != nil {
			return cli.BadUsage(fmt.Errorf("%s: %w", m.file, err))
		}
	}
	if m.policy != "" {
		if err := m.translate(&result, target, streams); err != nil {
			return cli.BadUsage(err)
		}
	}
	if err := m.write(ctx, result, streams); err != nil {
		return err
	}
	if result.left > 0 {
		return &verdictError{fmt.Sprintf("%s: %s cannot run on %s and %s unchanged", m.file, cli.Plural(result.left, "object"), target,
			map[bool]string{true: "is", false: "are"}[result.left == 1])}
	}
	return nil
}

func (m *migration) check() (target migrate.Target, form migrate.Form, err error) {
	target, err = migrate.ParseTarget(m.to)
	if err != nil {
		return "", "", fmt.Errorf("--to: %w", err)
	}
	if form, err = migrate.ParseForm(m.sidecar); err != nil {
		return "", "", fmt.Errorf("--sidecar: %w", err)
	}
	group := target == migrate.VirtualNodes
	switch {
	case m.file == "" && m.policy == "":
		err = errors.New("-f FILE or --policy FILE is needed")
	case m.identity != "" && !group:
		err = fmt.Errorf("--identity: only container groups (aci-vn2) have an identity; pods on %s keep workload identity", target)
	case m.workload != "" && !group:
		err = fmt.Errorf("--workload: tokens on %s have no HOST_DATA of a workload", target)
	default:
		err = m.checkFiles()
	}
	return target, form, err
}

// checkFiles checks which files go together.
func (m *migration) checkFiles() error {
	switch {
	case m.policy == "" && (m.policyOut != "" || m.workload != ""):
		return errors.New("--policy-out and --workload need --policy")
	case m.policy != "" && m.policyOut == "" && m.output != "json":
		return errors.New("--policy needs --policy-out, the file to write")
	case m.file != "" && m.out == cli.StandardOutput && m.policyOut == cli.StandardOutput:
		return errors.New("--out and --policy-out: only one can be standard output")
	case m.output == "json" && m.policyOut == cli.StandardOutput:
		return errors.New("--policy-out: with --output json the policy is a member of the object on standard output")
	}
	return errors.Join(cli.CheckOutput(m.output), cli.OneStandardInput(m.file, m.policy, m.workload))
}

// named returns the path for commands; "" for standard output.
func named(path string) string {
	if path == cli.StandardOutput {
		return ""
	}
	return path
}

func (m *migration) manifests(result *migrated, options migrate.Options, streams cli.Streams) error {
	text, err := cli.ReadInput(m.file, maxWorkloadFile, streams.In)
	if err != nil {
		return err
	}
	done, err := migrate.Manifests(text, options)
	if err != nil {
		return err
	}
	result.Manifests, result.left = string(done.Manifests), done.Left
	result.Notes = append(result.Notes, done.Notes...)
	return nil
}
