package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/jose/sign1"
	"skr/internal/operator/fragment"
)

// signFragment are the flags of skrctl fragment sign.
type signFragment struct {
	key, chain, feed, purpose, out, output string
}

func fragmentSignCommand(streams cli.Streams) *cobra.Command {
	var s signFragment
	cmd := &cobra.Command{
		Use:   "sign FILE --key FILE --chain FILE --feed REGISTRY/REPOSITORY --out FILE",
		Short: "Sign a fragment's Rego",
		Long: "Makes a COSE_Sign1 (ES384) of the Rego in FILE, verifies it, and writes it to --out. Its issuer is the did:x509 name\n" +
			"of the signer: the last certificate of the chain, and the common name of the first, or with --purpose one of its\n" +
			"extended key usages. Keep the signer's key as you keep the keys that the workload may release: who has it decides\n" +
			"what runs. Exit codes: 0 signed, 2 wrong input.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.sign(cmd, args[0], streams) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&s.key, "key", "", "file with the signer's EC key on P-384, as PEM without a passphrase (required)")
	flags.StringVar(&s.chain, "chain", "", "file with the signer's certificate, then its CAs up to the root, as PEM (required)")
	flags.StringVar(&s.feed, "feed", "", "repository of the image, without a tag: REGISTRY/REPOSITORY (required)")
	flags.StringVar(&s.purpose, "purpose", "", "extended key usage that names the signer, in place of its common name: an object identifier")
	flags.StringVar(&s.out, "out", "", "file to write, mode 0644; - is standard output (required)")
	cli.OutputFlag(cmd, &s.output)
	return cmd
}

func (s *signFragment) sign(cmd *cobra.Command, path string, streams cli.Streams) error {
	if err := s.check(path); err != nil {
		return err
	}
	text, err := readFragmentFile(path, streams.In)
	if err != nil {
		return err
	}
	signature, err := s.signature(streams)
	if err != nil {
		return cli.BadUsage(err)
	}
	signed, err := fragment.Sign(text, signature)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	if err := cli.WriteOutput(cmd.Context(), s.out, signed, cli.PublicMode, streams.Out); err != nil || s.out == cli.StandardOutput {
		return err
	}
	return s.tell(signed, streams)
}

func (s *signFragment) check(path string) error {
	for _, needed := range []struct{ flag, value string }{{"key", s.key}, {"chain", s.chain}, {"feed", s.feed}, {"out", s.out}} {
		if needed.value == "" {
			return cli.BadUsage(fmt.Errorf("--%s is needed", needed.flag))
		}
	}
	return errors.Join(cli.CheckOutput(s.output), cli.OneStandardInput(path, s.key, s.chain))
}

func (s *signFragment) signature(streams cli.Streams) (sig fragment.Signature, err error) {
	sig.Feed = s.feed
	if sig.Key, err = readSigningKey(s.key, streams); err != nil {
		return sig, err
	}
	if sig.Chain, err = readChainFile(s.chain, streams); err != nil {
		return sig, err
	}
	if s.purpose == "" {
		sig.Issuer, err = sign1.SubjectIssuer(sig.Chain)
	} else {
		sig.Issuer, err = sign1.PurposeIssuer(sig.Chain, s.purpose)
	}
	if err != nil {
		return sig, fmt.Errorf("%s: naming the issuer: %w", s.chain, err)
	}
	return sig, nil
}

func readSigningKey(path string, streams cli.Streams) (*ecdsa.PrivateKey, error) {
	data, err := cli.ReadInput(path, maxSignerFile, streams.In)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	key, err := fragment.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readChainFile(path string, streams cli.Streams) ([]*x509.Certificate, error) {
	data, err := cli.ReadInput(path, maxSignerFile, streams.In)
	if err != nil {
		return nil, err
	}
	chain, err := fragment.ParseChain(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

func (s *signFragment) tell(signed []byte, streams cli.Streams) error {
	f, err := fragment.Parse(signed)
	if err != nil {
		return err
	}
	if s.output == "json" {
		return json.NewEncoder(streams.Out).Encode(viewOf(f))
	}
	_, err = fmt.Fprintf(streams.Out, "signed for feed %s with svn %s\nissuer %s\nwrote %s\n", f.Feed, f.SVN, f.Issuer, s.out)
	return err
}
