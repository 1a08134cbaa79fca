package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/excerpt"
	"skr/internal/operator/inject"
)

// injection are the flags of skrctl inject.
type injection struct {
	file, out, platform, vtpm string
	image, identity           string
	classic, remove           bool
	user                      int
	only, mounts              []string
	sidecarSettings
}

func injectCommand(streams cli.Streams) *cobra.Command {
	var in injection
	cmd := &cobra.Command{
		Use:   "inject -f FILE {--platform PLATFORM --image IMAGE | --remove}",
		Short: "Add the sidecar to manifests and container groups",
		Long: "Adds skr to each Pod, Deployment, StatefulSet, DaemonSet, Job and CronJob in the file, or to each container group of an\n" +
			"ARM template or of the YAML for az container create. Do this before the execution policy is made, so that the policy\n" +
			"covers skr. Comments, order and all other bytes stay; JSON stays JSON. The annotation skr/injected (tag skr-injected)\n" +
			"records what is added: with it, inject again changes the settings, and --remove restores the file.\n" +
			"Standard error lists what changed and the next commands.\n" +
			"Exit codes: 0 written, 2 an object is unknown or something is in the way, and nothing is written.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return in.run(cmd, streams) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&in.file, "file", "f", "", "manifests or ARM template, YAML or JSON; - is standard input (required)")
	cli.OutFlag(cmd, &in.out, "file to write, mode 0644; it may be the one of -f")
	flags.StringVar(&in.platform, "platform", "", "where pods run: aci-vn2, aci (virtual nodes without native sidecars), aks-kata, cvm, cvm-tdx or trusted-launch")
	flags.StringVar(&in.image, "image", "", "image of skr, by digest")
	flags.BoolVar(&in.classic, "classic", false, "add an ordinary container instead of a native sidecar; always so on aci")
	flags.StringVar(&in.vtpm, "vtpm", "agent", "access to the vTPM: through the node's agent, or direct, which needs a privileged sidecar (cvm, cvm-tdx, trusted-launch)")
	flags.StringVar(&in.identity, "identity", "", "client id of the pod's workload identity, or resource id of the container group's identity (aci, aci-vn2)")
	in.addFlags(cmd)
	flags.IntVar(&in.user, "user", 0, "user id of skr; by default 65532 in pods, and 0 in container groups, where only root may open the report device")
	flags.StringArrayVar(&in.mounts, "mount", nil, "volume of the pod that skr also sees, as VOLUME=/PATH")
	flags.StringArrayVar(&in.only, "only", nil, "change only this object, as KIND/NAME; repeat for more")
	flags.BoolVar(&in.remove, "remove", false, "remove what inject added")
	return cmd
}

func (in *injection) run(cmd *cobra.Command, streams cli.Streams) error {
	if in.file == "" {
		return cli.BadUsage(errors.New("-f FILE is needed"))
	}
	if in.remove {
		if err := onlyWith(cmd, "remove", "file", "out", "only"); err != nil {
			return cli.BadUsage(err)
		}
		return in.edit(cmd.Context(), streams, func(text string) (string, []string, error) {
			out, err := inject.Remove(text, in.only)
			return out, nil, err
		})
	}
	options, warnings, err := in.options(cmd)
	if err != nil {
		return cli.BadUsage(err)
	}
	return in.edit(cmd.Context(), streams, func(text string) (string, []string, error) {
		result, err := inject.Add(text, options)
		if err != nil {
			return "", nil, err
		}
		return result.Text, slices.Concat(warnings, result.Notes), nil
	})
}

// onlyWith returns an error for a flag that has no meaning beside another.
func onlyWith(cmd *cobra.Command, name string, allowed ...string) error {
	for _, other := range []string{"platform", "image", "classic", "vtpm", "identity", "settings", "alias", "authority", "listen", "user", "mount"} {
		if cmd.Flags().Changed(other) && !slices.Contains(allowed, other) {
			return fmt.Errorf("--%s: it has no meaning with --%s", other, name)
		}
	}
	return nil
}

// edit writes the edited file, and then the notes.
func (in *injection) edit(ctx context.Context, streams cli.Streams, edit func(string) (string, []string, error)) error {
	text, err := cli.ReadInput(in.file, maxWorkloadFile, streams.In)
	if err != nil {
		return cli.BadUsage(err)
	}
	out, notes, err := edit(string(text))
	if err != nil {
		return cli.BadUsage(fmt.Errorf("%s: %w", in.file, err))
	}
	if err := cli.WriteOutput(ctx, in.out, []byte(out), cli.PublicMode, streams.Out); err != nil {
		return err
	}
	for _, note := range notes {
		if _, err := fmt.Fprintf(streams.Err, "skrctl: %s\n", excerpt.Printable(note)); err != nil {
			return err
		}
	}
	return nil
}

var (
	clientID   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	expression = regexp.MustCompile(`^\[.+\]$`) // of an ARM template
	imageName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?$`)
	mountForm  = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})=(/[^:]*)$`)
)

// options checks the flags.
func (in *injection) options(cmd *cobra.Command) (o inject.Options, warnings []string, err error) {
	o = inject.Options{Image: in.image, Classic: in.classic, Direct: in.vtpm == "direct", Identity: in.identity, User: -1, Only: in.only, File: named(in.out)}
	if in.platform != "" {
		if o.Platform, err = inject.ParsePlatform(in.platform); err != nil {
			return o, nil, fmt.Errorf("--platform: %w", err)
		}
	}
	if cmd.Flags().Changed("user") {
		o.User = in.user
	}
	if o.Mounts, err = in.parseMounts(); err != nil {
		return o, nil, err
	}
	if o.Settings, o.Ports, err = in.load(o); err != nil {
		return o, nil, err
	}
	if err := in.check(o.Platform, cmd.Flags().Changed("vtpm")); err != nil {
		return o, nil, err
	}
	if !strings.Contains(in.image, "@sha256:") && !expression.MatchString(in.image) {
		warnings = []string{fmt.Sprintf("warning: %s is named by a tag, which may stand for another image tomorrow; name it by digest", in.image)}
	}
	return o, warnings, nil
}

func (in *injection) check(platform inject.Platform, hasVTPM bool) error {
	switch {
	case in.image == "":
		return errors.New("--image is needed: the image of skr, by digest")
	case !imageName.MatchString(in.image) && !expression.MatchString(in.image):
		return fmt.Errorf("--image: %s is not the name of an image", excerpt.Quote(in.image))
	case in.vtpm != "agent" && in.vtpm != "direct":
		return fmt.Errorf("--vtpm: %s is neither agent nor direct", excerpt.Quote(in.vtpm))
	case hasVTPM && !platform.UsesVTPM():
		return errors.New("--vtpm: only pods on cvm, cvm-tdx and trusted-launch use a vTPM")
	case in.user < 0:
		return errors.New("--user: must not be negative")
	}
	return in.checkIdentity(platform)
}

// checkIdentity checks that the identity is of the kind that the platform has.
func (in *injection) checkIdentity(platform inject.Platform) error {
	if in.identity == "" {
		return nil
	}
	resource := strings.HasPrefix(in.identity, "/subscriptions/") || expression.MatchString(in.identity)
	group := platform == inject.Group || platform == ""
	switch {
	case !resource && !clientID.MatchString(in.identity):
		return fmt.Errorf("--identity: %s is neither a client id nor a resource id (/subscriptions/…)", excerpt.Quote(in.identity))
	case resource && !group && platform != inject.VirtualNodes:
		return fmt.Errorf("--identity: pods on %s have workload identity: give its client id", platform)
	case !resource && group:
		return errors.New("--identity: on aci, give the resource id of a managed identity")
	}
	return nil
}

func (in *injection) parseMounts() (mounts []inject.Mount, err error) {
	for _, text := range in.mounts {
		found := mountForm.FindStringSubmatch(text)
		if found == nil {
			return nil, fmt.Errorf("--mount: %s is not VOLUME=/PATH", excerpt.Quote(text))
		}
		mounts = append(mounts, inject.Mount{Volume: found[1], Path: found[2]})
	}
	return mounts, nil
}
