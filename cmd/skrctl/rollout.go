package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/measure"
	"skr/internal/operator/provision"
	"skr/internal/operator/rollout"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

const maxInventory = 1 << 20

func rolloutCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Change pods and release policies without an outage",
		Long: "Plans the steps from one deployment file to the next, and keeps the release policies of keys in step with the\n" +
			"files of an inventory.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(rolloutPlanCommand(streams), rolloutStatusCommand(env, streams), rolloutApplyCommand(env, streams))
	return cmd
}

// rolloutDesk is a desk with an inventory.
type rolloutDesk struct {
	*keyDesk
	access secmem.Text // zero to log in

	wanted []rollout.Wanted
	opened map[string]*provision.Vault // by host
}

// openRollout reads the inventory and the manifests that it names.
func openRollout(cmd *cobra.Command, path, tokenFile string, env config.Environment, streams cli.Streams) (*rolloutDesk, error) {
	desk, err := openKeyDesk(cmd, env, streams)
	if err != nil {
		return nil, err
	}
	if err := cli.OneStandardInput(path, tokenFile); err != nil {
		return nil, err
	}
	access, err := cli.ReadToken(tokenFile, streams.In)
	if err != nil {
		return nil, err
	}
	text, err := cli.ReadInput(path, maxInventory, streams.In)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	inventory, err := rollout.ParseInventory(text)
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	directory := filepath.Dir(path)
	d := &rolloutDesk{keyDesk: desk, access: access, opened: make(map[string]*provision.Vault)}
	d.wanted, err = inventory.Resolve(rollout.Surroundings{
		Measure: func(name string) ([]measure.Policy, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(directory, filepath.FromSlash(name))
			}
			return readWorkload(name, cli.Streams{In: nil, Out: streams.Out, Err: streams.Err})
		},
		Vault: desk.names().vault, Authority: desk.names().authority,
	})
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	return d, nil
}

// read returns a wanted key from its vault.
func (d *rolloutDesk) read(ctx context.Context, w rollout.Wanted) (*provision.Vault, *provision.Key, error) {
	id, err := d.parseKey(w.Vault, w.Name)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.settings.RequestTimeout)
	defer cancel()
	vault, found := d.opened[id.Vault().String()]
	if !found {
		if vault, err = d.open(ctx, id.Vault(), d.access); err != nil {
			return nil, nil, err
		}
		d.opened[id.Vault().String()] = vault
	}
	key, err := vault.Read(ctx, id)
	if errors.Is(err, refusal.KeyNotFound) {
		return nil, nil, fmt.Errorf("the inventory's key %q does not exist; make it with skrctl key create: %w", id, err)
	}
	return vault, key, err
}

// policyOf parses the policy of a key of an inventory.
func policyOf(key *provision.Key) (*releasepolicy.Policy, error) {
	if len(key.Policy) == 0 {
		return nil, cli.BadUsage(fmt.Errorf("the key %q has no release policy", key.ID))
	}
	policy, err := releasepolicy.Parse(key.Policy)
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("the release policy of %q cannot be read: %w", key.ID, err))
	}
	return policy, nil
}
