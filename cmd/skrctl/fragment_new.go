package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
)

// newFragment are the flags of skrctl fragment new.
type newFragment struct {
	namespace, platform, containers, out string
	svn                                  uint64
	env, patterns                        []string
}

func fragmentNewCommand(streams cli.Streams) *cobra.Command {
	var n newFragment
	cmd := &cobra.Command{
		Use:   "new --namespace NAME --svn N {IMAGE... | --containers FILE}",
		Short: "Write the Rego of a fragment for images or containers",
		Long: "Reads each image, computes the dm-verity hashes of its layers, and writes Rego that admits the container that the\n" +
			"image makes, with the variables and mounts that the platform adds. IMAGE is REGISTRY/REPOSITORY[:TAG|@DIGEST] or\n" +
			"oci:DIRECTORY[:TAG]. Credentials come from Docker's configuration. Read and edit the Rego before you sign it.\n" +
			"Exit codes: 0 written, 2 wrong input, 3 the registry has no such image or refuses, 4 it cannot be reached.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return n.write(cmd, args, streams) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.namespace, "namespace", "", "package of the Rego: a word of letters, digits and _ (required)")
	flags.Uint64Var(&n.svn, "svn", 0, "security version number, 1 or higher; raise it when older fragments must no longer run (required)")
	flags.StringVar(&n.containers, "containers", "", "file with containers as policies have them, as JSON; - is standard input")
	flags.StringVar(&n.platform, "platform", "aci", "aci or aci-vn2, where the images run")
	flags.StringArrayVar(&n.env, "env", nil, "environment variable that containers of the images may have: NAME=VALUE; may be repeated")
	flags.StringArrayVar(&n.patterns, "env-pattern", nil, "regular expression (RE2) that the whole variable matches: NAME=PATTERN; may be repeated")
	cli.OutFlag(cmd, &n.out, "file to write, mode 0644")
	return cmd
}

func (n *newFragment) write(cmd *cobra.Command, images []string, streams cli.Streams) error {
	if err := n.check(images); err != nil {
		return cli.BadUsage(err)
	}
	spec := fragment.Spec{Namespace: n.namespace, SVN: n.svn}
	if n.containers != "" {
		data, err := readFragmentFile(n.containers, streams.In)
		if err != nil {
			return err
		}
		if spec.Containers, err = fragment.ParseContainers(data); err != nil {
			return cli.BadUsage(fmt.Errorf("%s: %w", n.containers, err))
		}
	}
	for _, name := range images {
		c, err := n.container(cmd.Context(), name)
		if err != nil {
			return err
		}
		spec.Containers = append(spec.Containers, c)
	}
	text, err := fragment.Compose(spec)
	if err != nil {
		return cli.BadUsage(err)
	}
	return cli.WriteOutput(cmd.Context(), n.out, text, cli.PublicMode, streams.Out)
}

func (n *newFragment) check(images []string) error {
	if len(images) == 0 && n.containers == "" {
		return errors.New("IMAGE or --containers is needed")
	}
	if n.svn == 0 {
		return errors.New("--svn is needed, 1 or higher: an import rule refuses fragments with a lower number than its own")
	}
	for _, rule := range append(n.env[:len(n.env):len(n.env)], n.patterns...) {
		if name, _, found := strings.Cut(rule, "="); !found || name == "" {
			return fmt.Errorf("%q is not NAME=VALUE", rule)
		}
	}
	for _, rule := range n.patterns {
		if _, err := regexp.Compile(wholeValue(rule)); err != nil {
			return fmt.Errorf("--env-pattern: %w", err)
		}
	}
	return nil
}

// wholeValue returns a rule whose patterns are for the whole name and the whole value. The utility VM
// adds ^ and $ to the ends of the rule as text (hcsshim, framework.rego: anchor_pattern): without a
// group, NAME=a|b would admit every variable that ends in b.
func wholeValue(rule string) string {
	name, pattern, _ := strings.Cut(rule, "=")
	return group(name) + "=" + group(pattern)
}

func group(pattern string) string {
	if strings.Contains(pattern, "|") || strings.HasSuffix(pattern, `\$`) {
		return "(?:" + pattern + ")"
	}
	return pattern
}

func (n *newFragment) container(ctx context.Context, name string) (c execpolicy.Container, err error) {
	platform, err := fragment.ParsePlatform(n.platform)
	if err != nil {
		return c, cli.BadUsage(fmt.Errorf("--platform: %w", err))
	}
	err = withImage(ctx, name, imageTime, func(ctx context.Context, image fragment.Image) error {
		c, err = fragment.FromImage(ctx, image, platform)
		return err
	})
	for _, rule := range n.env {
		c.EnvRules = append(c.EnvRules, execpolicy.EnvRule{Pattern: rule, Strategy: "string"})
	}
	for _, rule := range n.patterns {
		c.EnvRules = append(c.EnvRules, execpolicy.EnvRule{Pattern: wholeValue(rule), Strategy: "re2"})
	}
	return c, err
}
