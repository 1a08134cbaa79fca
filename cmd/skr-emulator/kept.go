package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"

	"skr/api"
)

// playKept runs a sidecar that decrypts with the key and never gives it out.
func (s *stage) playKept(ctx context.Context, ciphertext []byte) error {
	keys := fmt.Sprintf(`{%q:{"vault":%q,"key":%q,"authority":%q,"ops":["decrypt"]}}`, demoKey, s.vault, demoKey, s.cloud.AttestationHost())
	sidecar, err := startSidecar(ctx, s.skr, append(s.cloud.Environment(s.cloud.Machine()), "SKR_KEYS="+keys, "SKR_KEY_CACHE_TTL=1m"))
	if err != nil {
		return err
	}
	defer sidecar.stop()
	key, err := sidecar.client.KeptKey(ctx, demoKey)
	if err != nil {
		return fmt.Errorf("finding the kept key: %w", err)
	}
	plain, err := key.Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil {
		return fmt.Errorf("decrypting in the sidecar: %w", err)
	}
	if string(plain) != demoSecret {
		return fmt.Errorf("the message that the sidecar decrypted is %q", plain)
	}
	_, err = sidecar.client.Release(ctx, api.ReleaseRequest{Alias: demoKey})
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || !errors.Is(err, api.CallerNotAllowed) {
		return fmt.Errorf("the sidecar must keep the key; got: %w", err)
	}
	s.tell("Better: with ops: [decrypt], skr decrypts, and the application never has the key",
		"POST http://"+sidecar.address+"/key/decrypt",
		fmt.Sprintf(`     {"alias":%q,"alg":"RSA-OAEP-256","value":"…"}`, demoKey),
		fmt.Sprintf("200  plain %q", plain),
		fmt.Sprintf("%d  for /key/release: %s", refused.Status, refused.Code))
	return nil
}
