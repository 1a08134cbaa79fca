package main

import (
	"context"
	"encoding/json"
	"fmt"

	"skr/internal/cli"
	"skr/internal/operator/lint"
	"skr/internal/operator/migrate"
)

// translate adds the release policy to the result. It prints what skrctl policy check finds in it.
func (m *migration) translate(result *migrated, target migrate.Target, streams cli.Streams) error {
	document, err := readDocument(m.policy, streams.In)
	if err != nil {
		return err
	}
	options := migrate.PolicyOptions{To: target, File: named(m.policy)}
	if m.workload != "" {
		policies, err := readWorkload(m.workload, streams)
		if err != nil {
			return err
		}
		for _, p := range policies {
			if p.AllowsEverything() {
				return fmt.Errorf("%s: %s: its policy allows every container, and its HOST_DATA identifies no workload", m.workload, p.Source())
			}
			options.HostData = append(options.HostData, p.Digest())
		}
	}
	policy, notes, err := migrate.Policy(document.Text, options)
	if err != nil {
		return fmt.Errorf("%s: %w", m.policy, err)
	}
	for _, f := range lint.Check(policy.Raw(), lint.Subject{Platform: target.Platform()}) {
		if f.Outcome != lint.Info {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: %s: %s: %s; %s\n", lint.Format.Words[f.Outcome], f.Name, f.Found, f.Fix) // a finding that cannot be printed is lost
		}
	}
	result.Policy = string(policy.Raw())
	result.Notes = append(result.Notes, notes...)
	return nil
}

// write writes the files, and prints the notes or the object of --output json.
func (m *migration) write(ctx context.Context, result migrated, streams cli.Streams) error {
	asJSON := m.output == "json"
	for _, file := range []struct{ path, text string }{{m.out, result.Manifests}, {m.policyOut, result.Policy}} {
		if file.text == "" || file.path == "" || asJSON && file.path == cli.StandardOutput {
			continue
		}
		if err := cli.WriteOutput(ctx, file.path, []byte(file.text), cli.PublicMode, streams.Out); err != nil {
			return err
		}
	}
	if asJSON {
		return json.NewEncoder(streams.Out).Encode(result)
	}
	for _, note := range result.Notes {
		if _, err := fmt.Fprintf(streams.Err, "skrctl: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}
