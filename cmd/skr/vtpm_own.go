package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/operator/inspect"
	"skr/internal/sidecar/server"
)

var errNoTPM = errors.New("no virtual TPM stands between this machine's chip and us, so that there is no measured boot: name files")

// ownBoot asks this machine for its evidence, and gives the nonce of its quote.
func (p *sidecar) ownBoot(ctx context.Context) (found inspect.Artefact, nonce []byte, err error) {
	data := fresh()
	evidence, err := p.attester.Evidence(ctx, data)
	if err != nil {
		return found, nil, err
	}
	if evidence.Guest == nil {
		return found, nil, &configError{errNoTPM}
	}
	text, err := json.Marshal(server.CombinedResponse(evidence, ""))
	if err != nil {
		return found, nil, err
	}
	sum := sha256.Sum256(data)
	found, err = inspect.Recognise(text)
	return found, sum[:], err
}

// showBoot reads the files, or asks this machine where there are none.
func showBoot(cmd *cobra.Command, args []string, env environment, io streams) (inspect.Artefact, error) {
	if len(args) > 0 {
		return readBootEvidence(args, io.in)
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return inspect.Artefact{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	found, _, err := parts.ownBoot(ctx)
	return found, err
}

// bootEvidence reads the files or, without any, asks this machine, and then returns the nonce
// of its quote, too.
func bootEvidence(ctx context.Context, args []string, parts *sidecar, in io.Reader) (inspect.Artefact, []byte, error) {
	if len(args) == 0 {
		return parts.ownBoot(ctx)
	}
	found, err := readBootEvidence(args, in)
	return found, nil, err
}
