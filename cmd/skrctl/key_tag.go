package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyTagCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	var remove config.List
	cmd := j.command("tag NAME[/VERSION] {name=text... | --remove NAME} --vault HOST", "Set or remove tags of a version of a key",
		"Sets and removes tags of a version of a key, by default of the newest. The other tags stay. Everybody who may read the\n"+
			"key can read its tags.", cobra.MinimumNArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.tag(cmd, args[0], args[1:], remove) })
	cmd.Flags().Var(&remove, "remove", "names of tags to remove")
	return cmd
}

func (j *keyJob) tag(cmd *cobra.Command, name string, words, remove config.List) error {
	set, err := parseTags(words)
	switch {
	case err != nil:
		return cli.BadUsage(err)
	case len(set)+len(remove) == 0:
		return cli.BadUsage(errors.New("name the tags to set as name=text, or those to remove with --remove"))
	}
	return j.onKey(cmd, name, false, func(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
		key, err := vault.Read(ctx, id)
		if err != nil {
			return err
		}
		tags := maps.Clone(key.Tags)
		maps.DeleteFunc(tags, func(tag, _ string) bool { return slices.Contains(remove, tag) })
		maps.Copy(tags, set)
		if key, err = vault.Update(ctx, key, provision.Attributes{Tags: tags}); err != nil {
			return err
		}
		return j.printKey(key, "tags of %s: %s", key.ID, tagText(key.Tags))
	})
}

// tagText quotes tags, which may contain any text.
func tagText(tags map[string]string) string {
	if len(tags) == 0 {
		return "none"
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		texts = append(texts, fmt.Sprintf("%q = %q", name, tags[name]))
	}
	return strings.Join(texts, ", ")
}
