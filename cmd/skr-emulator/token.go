package main

import (
	"context"
	"encoding/json"
	"fmt"

	"skr/internal/jose/jws"
	"skr/internal/strictjson"
)

// demoRuntimeData is the application's data in its token.
const demoRuntimeData = `{"application":"TEST ONLY"}`

// playToken shows what an authority attests about the machine to relying
// parties other than a vault.
func (s *stage) playToken(ctx context.Context, sidecar *sidecar) error {
	token, err := sidecar.client.Token(ctx, s.cloud.AttestationHost(), []byte(demoRuntimeData))
	if err != nil {
		return fmt.Errorf("getting a token: %w", err)
	}
	lines, err := claimLines(string(token))
	if err != nil {
		return err
	}
	s.tell(s.place+", skr runs beside the application, which asks it for an attestation token",
		append([]string{"POST http://" + sidecar.address + "/attest/maa"}, lines...)...)
	return nil
}

// claimLines returns the claims that distinguish the machine. skr has verified
// the token.
func claimLines(token string) ([]string, error) {
	parsed, err := jws.Parse(token, len(token))
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	claims, err := strictjson.Parse(parsed.Payload)
	if err != nil {
		return nil, fmt.Errorf("reading the token: it %w", err)
	}
	var lines []string
	for _, name := range []string{
		"iss", "x-ms-attestation-type", "secureboot", "x-ms-azurevm-vmid", "x-ms-azurevm-attested-pcrs", "x-ms-runtime.client-payload",
	} {
		value, found := claims.Lookup(name)
		if !found {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		lines = append(lines, fmt.Sprintf("%-28s %s", name, text))
	}
	return lines, nil
}
