package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"skr/test/emulator"
	"skr/test/rsakey"
)

// agentOf starts a sidecar with an SSH agent, and returns its socket.
func agentOf(t *testing.T, env ...string) (*keeper, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "agent.sock")
	ec := func(curve, ops string) keptKey {
		return keptKey{spec: emulator.KeySpec{Kty: "EC-HSM", Curve: curve}, ops: ops}
	}
	kept := map[string]keptKey{
		"rsa": {spec: emulator.KeySpec{Size: 2048}, ops: `["sign"]`}, "p256": ec("P-256", `["sign"]`), "p384": ec("P-384", `["sign"]`),
		"p521": ec("P-521", `["sign"]`), "hsm": {spec: emulator.KeySpec{Kty: "EC-HSM", Curve: "P-256"}, ops: `["sign"]`, inVault: true},
		"k256": ec("P-256K", `["sign"]`), "verifies": ec("P-256", `["verify"]`),
		"aes": {spec: emulator.KeySpec{Kty: "oct-HSM", Size: 256}, ops: `["sign"]`}, "absent": {ops: `["sign"]`, absent: true},
	}
	return keeperOf(t, kept, append(env, "SKR_SSH_AGENT_LISTEN=unix:"+socket)...), socket
}

// offered are the aliases of agentOf that SSH can sign with.
var offered = []string{"hsm", "p256", "p384", "p521", "rsa"}

func dialAgent(t *testing.T, socket string) (agent.ExtendedAgent, net.Conn) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return agent.NewClient(conn), conn
}

// The programs of OpenSSH list the keys, sign as git does, and verify what they signed.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	s, socket := agentOf(t)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	run := func(input string, command ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		c.Env, c.Stdin = append(os.Environ(), "SSH_AUTH_SOCK="+socket), strings.NewReader(input)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	var names []string
	dir := t.TempDir()
	lines := strings.Split(strings.TrimSpace(run("", "ssh-add", "-L")), "\n")
	for _, line := range lines {
		fields := strings.Fields(line)
		names = append(names, fields[2])
		public, signers := filepath.Join(dir, fields[2]+".pub"), filepath.Join(dir, fields[2]+".allowed")
		for file, text := range map[string]string{public: line + "\n", signers: "me@contoso " + fields[0] + " " + fields[1] + "\n"} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		signature := filepath.Join(dir, fields[2]+".sig")
		text := run("a commit", "ssh-keygen", "-Y", "sign", "-n", "git", "-f", public)
		if err := os.WriteFile(signature, []byte(text[strings.Index(text, "-----BEGIN"):]), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := run("a commit", "ssh-keygen", "-Y", "verify", "-n", "git", "-f", signers, "-I", "me@contoso", "-s", signature); !strings.Contains(got, "Good") {
			t.Errorf("%s: %s", fields[2], got)
		}
	}
	if fmt.Sprint(names) != fmt.Sprint(offered) {
		t.Errorf("offered %v, want %v", names, offered)
	}
	eventually(t, "the log tells of the key that cannot be had", func() bool {
		log := s.log.String()
		return strings.Contains(log, "the SSH agent cannot offer this key") && strings.Contains(log, `"alias":"absent"`)
	})
	text, err := os.ReadFile(s.audit)
	if err != nil || strings.Count(string(text), `"result":"used","operation":"sign","items":1`) != len(offered) {
		t.Errorf("audited: %v\n%s", err, text)
	}
}

// A client and a server of SSH prove who they are with keys that stay in the sidecar.
func TestSSHHandshake(t *testing.T) {
	t.Parallel()
	_, socket := agentOf(t)
	keys, _ := dialAgent(t, socket)
	signers, err := keys.Signers()
	if err != nil || len(signers) != len(offered) {
		t.Fatalf("%d signers, %v", len(signers), err)
	}
	for i, user := range signers {
		host := signers[(i+1)%len(signers)]
		if err := handshake(t, user, host); err != nil {
			t.Errorf("%s: %v", user.PublicKey().Type(), err)
		}
	}
}

func handshake(t *testing.T, user, host ssh.Signer) error {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // it has accepted
	server := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil //nolint:nilnil // no restrictions
	}}
	server.AddHostKey(host)
	served := make(chan error, 1)
	go func() {
		far, err := listener.Accept()
		if err == nil {
			_, _, _, err = ssh.NewServerConn(far, server)
		}
		served <- err
	}()
	near, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer near.Close() //nolint:errcheck // the handshake is over
	_, _, _, err = ssh.NewClientConn(near, "sidecar", &ssh.ClientConfig{
		User: "me", Auth: []ssh.AuthMethod{ssh.PublicKeys(user)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey()),
	})
	if err != nil {
		return err
	}
	return <-served
}

// The agent signs and lists, and nothing else: no SHA-1, no unknown flag or key, no change.
func TestAgentRefuses(t *testing.T) {
	t.Parallel()
	_, socket := agentOf(t)
	keys, _ := dialAgent(t, socket)
	listed, err := keys.List()
	if err != nil || len(listed) != len(offered) {
		t.Fatalf("%v, %v", listed, err)
	}
	private, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var withRSA *agent.Key
	for _, key := range listed {
		if key.Type() == ssh.KeyAlgoRSA {
			withRSA = key
		}
	}
	for flags, format := range map[agent.SignatureFlags]string{
		agent.SignatureFlagRsaSha256: ssh.KeyAlgoRSASHA256, agent.SignatureFlagRsaSha512: ssh.KeyAlgoRSASHA512,
	} {
		signature, err := keys.SignWithFlags(withRSA, []byte("data"), flags)
		if err != nil || signature.Format != format || withRSA.Verify([]byte("data"), signature) != nil {
			t.Errorf("%s: %v, %v", format, signature, err)
		}
	}
	for name, try := range map[string]func() error{
		"ssh-rsa with SHA-1": func() error { _, err := keys.Sign(withRSA, []byte("data")); return err },
		"unknown flag":       func() error { _, err := keys.SignWithFlags(withRSA, []byte("data"), 1<<7); return err },
		"unknown key":        func() error { _, err := keys.SignWithFlags(other, []byte("data"), 2); return err },
		"add":                func() error { return keys.Add(agent.AddedKey{PrivateKey: private}) },
		"remove":             func() error { return keys.Remove(withRSA) },
		"remove all":         keys.RemoveAll,
		"lock":               func() error { return keys.Lock([]byte("x")) },
		"unlock":             func() error { return keys.Unlock([]byte("x")) },
		"extension":          func() error { _, err := keys.Extension("session-bind@openssh.com", nil); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	if after, err := keys.List(); err != nil || len(after) != len(listed) {
		t.Errorf("after the refusals: %v, %v", after, err)
	}
	for name, frame := range map[string]string{
		"too long": "\x00\x04\x00\x01", "empty": "\x00\x00\x00\x00", "cut sign request": "\x00\x00\x00\x03\x0d\x00\x00",
	} {
		_, conn := dialAgent(t, socket)
		if _, err := io.WriteString(conn, frame); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 5)
		if n, err := io.ReadFull(conn, answer); n > 0 && (err != nil || answer[4] != 5) || n == 0 && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %x, %v", name, answer[:n], err)
		}
	}
}

// The user of the process that connects decides which keys it is offered and may use.
func TestAgentCallers(t *testing.T) {
	t.Parallel()
	rules := func(uid int, routes string) string {
		return fmt.Sprintf(`SKR_ACCESS=[{"name":"app","uid":%d,"routes":%s,"keys":["p256","aes"]}]`, uid, routes)
	}
	_, socket := agentOf(t, rules(os.Getuid(), `["/key/public","/key/sign"]`))
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != fs.FileMode(0o666) {
		t.Errorf("the socket: %v, %v", info, err)
	}
	keys, _ := dialAgent(t, socket)
	listed, err := keys.List()
	if err != nil || len(listed) != 1 || listed[0].Comment != "p256" {
		t.Fatalf("offered %v, %v", listed, err)
	}
	if _, err := keys.Sign(listed[0], []byte("data")); err != nil {
		t.Error(err)
	}
	s, socket := agentOf(t, rules(os.Getuid(), `["/key/public"]`))
	keys, _ = dialAgent(t, socket)
	if listed, err = keys.List(); err != nil || len(listed) != 1 {
		t.Fatalf("offered %v, %v", listed, err)
	}
	if _, err := keys.Sign(listed[0], []byte("data")); err == nil {
		t.Error("a caller without the route signs")
	}
	eventually(t, "the log has the refusal", func() bool { return strings.Contains(s.log.String(), "/key/sign") })
	_, socket = agentOf(t, rules(os.Getuid()+1, `["*"]`))
	keys, _ = dialAgent(t, socket)
	if listed, err := keys.List(); err == nil {
		t.Errorf("another user is offered %v", listed)
	}
}
