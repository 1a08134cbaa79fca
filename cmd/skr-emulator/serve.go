package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"skr/attest/tdx"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/host"
	"skr/test/tdxtest"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	dir, listen, imds string
	policyFile        string
	images, env       []string
	platform          string
	certificates      string
	quoteVersion      uint16
	tcb               string
	keys, faults      []string
	seed              uint64
	verbose           bool
	hosts, realNames  bool
	policyCertificate string
	internal          bool
	pods              []string
	envFile           string
}

func serveCommand(out, errOut io.Writer) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the emulated cloud and print the environment that a sidecar needs",
		Long: "Prints the environment as lines for a POSIX shell and runs until interrupted:\n\n" +
			"  rm -f env.sh; skr-emulator serve --key demo/payroll > env.sh &\n" +
			"  until grep -qs '^# ready' env.sh; do sleep 0.1; done\n" +
			"  . ./env.sh && skr\n\n" +
			"Each --key VAULT/NAME creates an RSA-HSM key that is released to the emulated machine.\n" +
			"In a container, use --env-file, so that the container's log has no client secret.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return emulate(cmd.Context(), o, out, errOut) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "directory for sockets and certificates, kept on exit; temporary if empty")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback address of the HTTPS services")
	flags.StringVar(&o.imds, "imds", "127.0.0.1:0", "loopback address of the instance metadata service")
	platformFlag(flags, &o.platform)
	flags.StringVar(&o.certificates, "certificates", string(emulator.AtHost), "where the sidecar finds AMD's certificates: host, fabric, vn2 or imds")
	flags.Uint16Var(&o.quoteVersion, "quote-version", 4, "version of the quotes of a TDX machine's host: 4 or 5")
	flags.StringVar(&o.tcb, "tcb-status", string(tdx.UpToDate), "TCB status of a TDX machine's platform: UpToDate or OutOfDate")
	flags.StringVar(&o.policyFile, "cce-policy", "", "file with the execution policy of the emulated pod")
	flags.StringArrayVar(&o.images, "image", nil, "image that must be allowed to run by --cce-policy and the fragments attached to the image; may be repeated")
	flags.StringArrayVar(&o.env, "env", nil, "NAME=VALUE of the images' containers; may be repeated")
	flags.StringArrayVar(&o.keys, "key", nil, "VAULT/NAME of a key to create; may be repeated")
	flags.StringArrayVar(&o.faults, "fault", nil, "fault to inject (see docs/emulator.md); may be repeated")
	flags.Uint64Var(&o.seed, "seed", 0, "seed for faults with a probability; random and logged if 0")
	flags.BoolVar(&o.hosts, "hosts", false, "also print lines for /etc/hosts, as comments that begin with #hosts")
	flags.BoolVar(&o.realNames, "real-names", false, "also serve Azure's own host names, on port 443 unless --listen has another")
	flags.StringVar(&o.policyCertificate, "policy-certificate", "",
		"file with the certificate (PEM) that must sign the attestation policies of the isolated authority "+isolated)
	flags.BoolVar(&o.internal, "internal-network", false, "allow addresses that are not loopback, if no route leads out of this network; for containers")
	flags.StringArrayVar(&o.pods, "pod", nil, "NAME of another pod with an execution policy of its own, in a directory of --dir; may be repeated")
	flags.StringVar(&o.envFile, "env-file", "", "write the environment to this file once the cloud is ready, and remove the file on exit")
	flags.BoolVar(&o.verbose, "verbose", false, "log each request to standard error")
	return cmd
}

func emulate(ctx context.Context, o serveOptions, out, errOut io.Writer) error {
	dir, remove, err := o.workDir()
	if err != nil {
		return err
	}
	defer remove()
	if err := o.unpublish(); err != nil {
		return err
	}
	names := o.names()
	config, err := o.config(ctx, dir, errOut)
	if err != nil {
		return err
	}
	cloud, err := emulator.Start(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }() // the process exits anyway
	text, err := o.environment(ctx, cloud, names)
	if err != nil {
		return err
	}
	unpublish, err := o.publish(out, text)
	if err != nil {
		return err
	}
	defer unpublish()
	<-ctx.Done()
	return nil
}

// environment makes what the flags ask for, and returns the variables for it.
func (o serveOptions) environment(ctx context.Context, cloud *emulator.Cloud, names names) (string, error) {
	var text strings.Builder
	if err := printEnvironment(&text, cloud, names); err != nil {
		return "", err
	}
	if o.hosts {
		text.WriteString(names.hosts(cloud))
	}
	for _, pod := range o.pods {
		if err := addPod(&text, cloud, pod); err != nil {
			return "", err
		}
	}
	for _, key := range o.keys {
		if err := makeKey(ctx, cloud, names, key, &text); err != nil {
			return "", err
		}
	}
	text.WriteString("# ready\n") // scripts wait for it
	return text.String(), nil
}

func (o serveOptions) workDir() (string, func(), error) {
	if o.dir == "" {
		return workDir()
	}
	return o.dir, func() {}, os.MkdirAll(o.dir, 0o700)
}

func (o serveOptions) config(ctx context.Context, dir string, errOut io.Writer) (emulator.Config, error) {
	config := emulator.Config{Dir: dir, Listen: o.listen, IMDSListen: o.imds, Seed: o.seed, ExtraHosts: o.names().extra(), InternalNetwork: o.internal}
	if host, port, err := net.SplitHostPort(o.listen); err == nil && o.realNames && port == "0" {
		config.Listen = net.JoinHostPort(host, realPort)
	}
	for _, text := range o.faults {
		rule, err := fault.ParseRule(text)
		if err != nil {
			return config, fmt.Errorf("--fault %q: %w", text, err)
		}
		config.Faults = append(config.Faults, rule)
	}
	if o.verbose || len(o.faults) > 0 {
		config.Log = slog.New(slog.NewTextHandler(errOut, nil))
	}
	var err error
	if config.PolicyCertificates, err = o.isolate(); err != nil {
		return config, err
	}
	if config.Intel, err = o.intel(); err != nil {
		return config, err
	}
	if config.Machine, err = o.machine(); err != nil {
		return config, err
	}
	return config, o.pull(ctx, &config.Machine)
}

func (o serveOptions) intel() (c emulator.IntelConfig, err error) {
	if o.quoteVersion != 4 && o.quoteVersion != 5 {
		return c, fmt.Errorf("--quote-version %d: use 4 or 5", o.quoteVersion)
	}
	c.Quote.Version = o.quoteVersion
	switch tdx.Status(o.tcb) {
	case tdx.UpToDate:
	case tdx.OutOfDate:
		c.Collateral.TCBInfo = tdxtest.OutOfDate
	default:
		return c, fmt.Errorf("--tcb-status %q: use %s or %s", o.tcb, tdx.UpToDate, tdx.OutOfDate)
	}
	return c, nil
}

// pull adds the images' containers and fragments.
func (o serveOptions) pull(ctx context.Context, machine *emulator.MachineConfig) error {
	if len(o.env) > 0 && len(o.images) == 0 {
		return errors.New("--env: name the image that gets the variables with --image")
	}
	for _, name := range o.images {
		image, err := host.Pull(ctx, name, o.env...)
		if err != nil {
			return fmt.Errorf("--image: %w", err)
		}
		machine.Containers = append(machine.Containers, image.Container)
		machine.Fragments = append(machine.Fragments, image.Fragments...)
	}
	return nil
}

func (o serveOptions) machine() (emulator.MachineConfig, error) {
	platform, err := emulator.ParsePlatform(o.platform)
	if err != nil {
		return emulator.MachineConfig{}, fmt.Errorf("--platform: %w", err)
	}
	certificates, err := emulator.ParseCertificates(o.certificates)
	if err != nil {
		return emulator.MachineConfig{}, fmt.Errorf("--certificates: %w", err)
	}
	config := emulator.MachineConfig{Platform: platform, Certificates: certificates}
	if o.policyFile == "" {
		return config, nil
	}
	if !hasPolicy(platform) {
		return config, fmt.Errorf("--cce-policy: platform %q has no execution policy", platform)
	}
	policy, err := os.ReadFile(o.policyFile)
	config.Policy = string(policy)
	return config, err
}

// printEnvironment writes lines that a POSIX shell can source.
func printEnvironment(text *strings.Builder, cloud *emulator.Cloud, names names) error {
	text.WriteString("# emulated Azure, TEST ONLY; source this file, then start skr\n")
	for _, entry := range cloud.Environment(cloud.Machine()) {
		text.WriteString(export(entry))
	}
	fmt.Fprintf(text, "# for requests to the sidecar:\nexport MAA_ENDPOINT='%s'\n", names.authority(cloud))
	return printIdentities(text, cloud)
}

// export returns a line that sets the variable NAME=value.
func export(entry string) string {
	name, value, _ := strings.Cut(entry, "=")
	return fmt.Sprintf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
}

// printIdentities writes the identities as comments: variables of a workload identity would replace
// the machine's managed identity, which the sidecar uses.
func printIdentities(text *strings.Builder, cloud *emulator.Cloud) error {
	system := cloud.SystemIdentity()
	fmt.Fprintf(text, "# managed identity of the machine: client_id=%s object_id=%s\n", system.AppID, system.ObjectID)
	environment, err := cloud.WorkloadIdentity()
	if err != nil {
		return err
	}
	certificate, err := cloud.ClientCertificate()
	if err != nil {
		return err
	}
	text.WriteString("# an application's identity: a federated token, as AKS gives it to a pod, a client secret and a certificate:\n")
	for _, entry := range append(environment, cloud.Secret(), certificate) {
		fmt.Fprintf(text, "#identity export %s\n", entry)
	}
	return nil
}

func makeKey(ctx context.Context, cloud *emulator.Cloud, names names, key string, text *strings.Builder) error {
	vault, name, found := strings.Cut(key, "/")
	if !found {
		return fmt.Errorf("--key %q: use VAULT/NAME", key)
	}
	host := names.vault(cloud, vault)
	policy, err := releasePolicy(names.authority(cloud), cloud.Machine())
	if err != nil {
		return err
	}
	if _, err := cloud.CreateKey(ctx, host, emulator.KeySpec{Name: name, Size: demoKeyBits}, policy); err != nil {
		return err
	}
	fmt.Fprintf(text, "# key %s\nexport AKV_ENDPOINT='%s'\n", name, host)
	return nil
}
