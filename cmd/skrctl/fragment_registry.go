package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/fragment"
)

func fragmentAttachCommand(streams cli.Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "attach FILE IMAGE",
		Short: "Store a signed fragment beside its image in a registry",
		Long: "Verifies the fragment and pushes it as an OCI artifact that refers to the image, where the platform finds it when it\n" +
			"loads the image. IMAGE is REGISTRY/REPOSITORY[:TAG|@DIGEST] or oci:DIRECTORY[:TAG]. Credentials come from Docker's\n" +
			"configuration, as docker login, oras login and az acr login write it; registries on loopback are asked without TLS.\n" +
			"Exit codes: 0 attached, 2 wrong input, 3 the registry has no such image or refuses, 4 it cannot be reached,\n" +
			"6 the fragment is not authentic.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return attachFragment(cmd.Context(), args[0], args[1], output, streams)
		},
	}
	cli.OutputFlag(cmd, &output)
	return cmd
}

func attachFragment(ctx context.Context, path, name, output string, streams cli.Streams) error {
	if err := cli.CheckOutput(output); err != nil {
		return err
	}
	f, signed, err := readSigned(path, streams.In)
	if err != nil {
		return err
	}
	return withImage(ctx, name, registryTime, func(ctx context.Context, image fragment.Image) error {
		if image.Feed != "" && image.Feed != f.Feed {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: warning: the fragment is for feed %s, and the image is in %s\n", f.Feed, image.Feed) // nowhere else to say it
		}
		digest, err := fragment.Attach(ctx, image, signed)
		if err != nil {
			return err
		}
		if output == "json" {
			return json.NewEncoder(streams.Out).Encode(map[string]string{"image": name, "digest": digest})
		}
		_, err = fmt.Fprintf(streams.Out, "attached %s to %s\n", digest, name)
		return err
	})
}

func fragmentFetchCommand(streams cli.Streams) *cobra.Command {
	var directory, output string
	cmd := &cobra.Command{
		Use:   "fetch IMAGE",
		Short: "Fetch the fragments that are attached to an image",
		Long: "Writes each fragment that verifies to a file in --out-dir, named by its svn and digest, and prints a line for each.\n" +
			"A warning names those that do not verify; they are not written. IMAGE is as for skrctl fragment attach.\n" +
			"Exit codes: 0 fetched, 2 wrong input, 3 no such image or no fragment that verifies, 4 the registry cannot be reached.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return fetchFragments(cmd.Context(), args[0], directory, output, streams)
		},
	}
	cmd.Flags().StringVar(&directory, "out-dir", ".", "directory to write to")
	cli.OutputFlag(cmd, &output)
	return cmd
}

// fetched is a fragment that was written to a file.
type fetched struct {
	File string `json:"file"`
	*fragmentView
}

func fetchFragments(ctx context.Context, name, directory, output string, streams cli.Streams) error {
	if err := cli.CheckOutput(output); err != nil {
		return err
	}
	if err := checkDirectory(directory); err != nil {
		return err
	}
	var signed [][]byte
	err := withImage(ctx, name, registryTime, func(ctx context.Context, image fragment.Image) (err error) {
		signed, err = fragment.Fetch(ctx, image)
		return err
	})
	if err != nil {
		return err
	}
	all := []fetched{}
	for _, raw := range signed {
		f, err := fragment.Parse(raw)
		if err != nil {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: warning: a fragment of %s was not written: %v\n", name, err) // nowhere else to say it
			continue
		}
		path := filepath.Join(directory, fileName(f, raw))
		if err := cli.WriteOutput(ctx, path, raw, cli.PublicMode, streams.Out); err != nil {
			return err
		}
		all = append(all, fetched{path, viewOf(f)})
	}
	if len(all) == 0 {
		return &verdictError{name + ": no fragment that verifies is attached to it"}
	}
	return printFetched(all, output, streams)
}

// checkDirectory finds a wrong --out-dir before the registry is asked.
func checkDirectory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--out-dir: %w", err))
	}
	return nil
}

func fileName(f *fragment.Fragment, raw []byte) string {
	sum := sha256.Sum256(raw)
	number, _ := f.SVN.Uint() // Parse has read it
	return fmt.Sprintf("fragment-%d-%s.rego.cose", number, hex.EncodeToString(sum[:6]))
}

func printFetched(all []fetched, output string, streams cli.Streams) error {
	if output == "json" {
		return json.NewEncoder(streams.Out).Encode(all)
	}
	for _, f := range all {
		if _, err := fmt.Fprintf(streams.Out, "wrote %s: feed %s, svn %s, issuer %s\n", f.File, oneLine(f.Feed), f.SVN, f.Issuer); err != nil {
			return err
		}
	}
	return nil
}
