package main

import (
	"context"
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

// keyRotation are the flags of skrctl key rotate.
type keyRotation struct {
	*keyJob

	policy    keyPolicy
	directory string
	replace   bool
	dryRun    bool
}

func keyRotateCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	r := &keyRotation{keyJob: newKeyJob(env, streams)}
	cmd := r.command("rotate NAME --vault HOST", "Make a new version of a key, under the same release policy or a given one",
		"Makes a new version of a key with other material of the same kind, reads it back, and writes NAME.VERSION-pub.pem and\n"+
			"NAME.VERSION-info.json. Requests without a version get the new version. Older versions are still released under their\n"+
			"own policies, to requests that name them. With --policy, or --authority and --platform, the new version has that policy.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return r.onKey(cmd, args[0], true, r.run) })
	r.policy.flags(cmd.Flags())
	cmd.Flags().StringVar(&r.directory, "out-dir", ".", "directory for the files")
	cmd.Flags().BoolVar(&r.replace, "replace", false, "also replace NAME-pub.pem and NAME-info.json if they exist")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "print the request and change nothing")
	return cmd
}

// another reports whether the flags name a release policy.
func (r *keyRotation) another() bool {
	return r.policy.file != "" || len(r.policy.authorities)+len(r.policy.measurements) > 0 || r.policy.platform != ""
}

func (r *keyRotation) run(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	before, err := vault.Read(ctx, id)
	if err != nil {
		return err
	}
	var request *provision.Request
	if r.another() {
		if request, err = r.successor(id, before); err != nil {
			return err
		}
	}
	if r.dryRun {
		return r.preview(id, request)
	}
	files, err := newKeyFiles(r.directory, id.Name(), true, r.replace)
	if err != nil {
		return err
	}
	defer files.discard()
	after, err := rotate(ctx, vault, before, request)
	if err != nil {
		return err
	}
	if !maps.Equal(before.Tags, after.Tags) {
		_, _ = fmt.Fprintf(r.streams.Err, "skrctl: warning: the new version has other tags than version %q; set them with skrctl key tag\n",
			before.ID.Version()) // a warning that cannot be printed is lost
	}
	return files.finish(after, before.Size(), r.output, r.streams.Out)
}

// successor returns the request for a version with the policy of the flags.
func (r *keyRotation) successor(id hsm.KeyID, before *provision.Key) (*provision.Request, error) {
	policy, err := r.policy.load()
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	spec, err := provision.Successor(before, id, policy)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	request, err := provision.NewRequest(spec)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	warnOfChange(before, request, r.streams.Err)
	return request, r.policy.check(policy, false, r.streams.Err)
}

// rotate makes a version under the policy of the one before, or of the request.
func rotate(ctx context.Context, vault *provision.Vault, before *provision.Key, request *provision.Request) (*provision.Key, error) {
	if request == nil {
		return vault.Rotate(ctx, before)
	}
	return vault.Make(ctx, request)
}

func (r *keyRotation) preview(id hsm.KeyID, request *provision.Request) error {
	if request != nil {
		return printPreview(request, r.apiVersion, r.output, r.streams.Out)
	}
	preview, err := provision.PreviewRotation(id, r.apiVersion)
	if err != nil {
		return err
	}
	return r.print(preview, "%s %s", preview.Method, preview.URL)
}
