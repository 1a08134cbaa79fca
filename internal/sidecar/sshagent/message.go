package sshagent

import (
	"context"
	"errors"

	"golang.org/x/crypto/ssh"

	"skr/internal/sidecar/server"
)

// The numbers of messages (draft-ietf-sshm-ssh-agent section 6.1).
const (
	failure           = 5
	requestIdentities = 11
	signRequest       = 13
)

// flags of a signRequest (section 6.3).
const (
	rsaSHA256 = 1 << 1
	rsaSHA512 = 1 << 2
)

// identities is the answer to requestIdentities (section 3.5).
type identities struct {
	Count uint32 `sshtype:"12"`
	Keys  []byte `ssh:"rest"`
}

type identity struct {
	Blob    []byte
	Comment string
}

// signing is a signRequest (section 3.6).
type signing struct {
	Blob  []byte `sshtype:"13"`
	Data  []byte
	Flags uint32
}

// signed is the answer to a signRequest.
type signed struct {
	Signature []byte `sshtype:"14"`
}

// errRefused stands for a message that the agent does not answer.
var errRefused = errors.New("the agent lists keys and signs, and nothing else")

// answer returns the answer to a message. For an error the client gets a failure, for which the
// protocol has no reason: the log has it.
func (c *connection) answer(ctx context.Context, message []byte) ([]byte, error) {
	switch message[0] {
	case requestIdentities:
		return c.list(ctx)
	case signRequest:
		var request signing
		if err := ssh.Unmarshal(message, &request); err != nil {
			return nil, err
		}
		return c.sign(ctx, request)
	}
	return nil, errRefused
}

func (c *connection) list(ctx context.Context) ([]byte, error) {
	offered, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	var all identities
	for _, o := range offered {
		all.Count++
		all.Keys = append(all.Keys, ssh.Marshal(identity{[]byte(o.blob), o.Alias})...)
	}
	return ssh.Marshal(all), nil
}

// offer is a key with its public part in the form of SSH (RFC 4253 section 6.6).
type offer struct {
	server.Signer

	blob string
}

// look asks which keys there are. SSH has no keys of P-256K.
func (c *connection) look(ctx context.Context) (offered []offer, err error) {
	signers, err := c.Keys.Signers(ctx)
	if err != nil {
		return nil, err
	}
	c.known = make(map[string]server.Signer, len(signers))
	for _, s := range signers {
		public, err := ssh.NewPublicKey(s.Public)
		if err != nil {
			continue
		}
		blob := string(public.Marshal())
		if _, twice := c.known[blob]; !twice { // one key may have several aliases
			c.known[blob] = s
			offered = append(offered, offer{s, blob})
		}
	}
	return offered, nil
}

func (c *connection) sign(ctx context.Context, request signing) ([]byte, error) {
	with, err := c.signer(ctx, string(request.Blob))
	if err != nil {
		return nil, err
	}
	how, ok := formOf(with.Public, request.Flags)
	if !ok {
		return nil, errRefused
	}
	value, err := c.Keys.SignDigest(ctx, with, how.algorithm, how.digest(request.Data))
	if err != nil {
		return nil, err
	}
	return ssh.Marshal(signed{ssh.Marshal(how.signature(value))}), nil
}

// signer returns the key that a client names by its public part, which it may have from a file.
func (c *connection) signer(ctx context.Context, blob string) (server.Signer, error) {
	if with, found := c.known[blob]; found {
		return with, nil
	}
	if _, err := c.look(ctx); err != nil {
		return server.Signer{}, err
	}
	with, found := c.known[blob]
	if !found {
		return server.Signer{}, errRefused
	}
	return with, nil
}
