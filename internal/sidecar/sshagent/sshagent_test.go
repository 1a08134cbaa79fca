package sshagent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"skr/internal/sidecar/server"
)

// keys signs with one EC key. Each call first waits for block, if that is not nil.
type keys struct {
	private *ecdsa.PrivateKey
	fail    error
	block   chan struct{}
	asked   chan struct{}
}

func newKeys(t testing.TB) *keys {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &keys{private: private, asked: make(chan struct{}, 16)}
}

func (k *keys) Signers(context.Context) ([]server.Signer, error) {
	one := server.Signer{Alias: "deploy", Version: "v", Public: &k.private.PublicKey}
	return []server.Signer{one, {Alias: "twice", Version: "v", Public: one.Public}}, k.fail
}

func (k *keys) SignDigest(ctx context.Context, _ server.Signer, _ string, digest []byte) ([]byte, error) {
	k.asked <- struct{}{}
	if k.block != nil {
		select {
		case <-k.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest)
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), k.fail
}

// connect serves one end of a pipe and returns the other.
func connect(t *testing.T, k *keys) (net.Conn, chan error) {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan error, 1)
	c := &connection{Config: Config{Keys: k}, Conn: far}
	go func() { served <- c.serve(t.Context(), nil) }()
	return near, served
}

// TestListAndSign uses the client of x/crypto: one key has one entry, and signs without a list before.
func TestListAndSign(t *testing.T) {
	k := newKeys(t)
	near, served := connect(t, k)
	client := agent.NewClient(near)
	listed, err := client.List()
	if err != nil || len(listed) != 1 || listed[0].Comment != "deploy" {
		t.Fatalf("listed %v, %v", listed, err)
	}
	signature, err := client.Sign(listed[0], []byte("data"))
	if err != nil || listed[0].Verify([]byte("data"), signature) != nil {
		t.Errorf("signed %v, %v", signature, err)
	}
	_ = near.Close()
	if err := <-served; err != nil && !errors.Is(err, io.ErrClosedPipe) { // a pipe that is closed has no deadlines
		t.Error(err)
	}
	near, _ = connect(t, k)
	defer near.Close() //nolint:errcheck // nothing is pending
	client = agent.NewClient(near)
	if _, err := client.Sign(listed[0], []byte("data")); err != nil {
		t.Errorf("without a list: %v", err)
	}
	k.fail = errors.New("no")
	if _, err := client.Sign(listed[0], []byte("data")); err == nil {
		t.Error("a refused signature is given out")
	}
}

// TestHangUp checks that a peer that is refused again and again gets no answer.
func TestHangUp(t *testing.T) {
	k := newKeys(t)
	k.fail = server.ErrHangUp
	near, served := connect(t, k)
	if _, err := agent.NewClient(near).List(); err == nil {
		t.Error("there is an answer")
	}
	if err := <-served; !errors.Is(err, server.ErrHangUp) {
		t.Error(err)
	}
}

// TestFrames checks the bounds of messages, in size and in time.
func TestFrames(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		ends time.Duration
		want string
	}{
		"empty":        {"\x00\x00\x00\x00", 0, "0 bytes"},
		"too long":     {"\x00\x04\x00\x01", 0, "262145 bytes"},
		"half":         {"\x00\x00\x00\x05\x0b", ioTimeout, "timeout"},
		"no message":   {"", idleTimeout, "timeout"},
		"half a size":  {"\x00\x00", idleTimeout, "timeout"},
		"unread reply": {"\x00\x00\x00\x01\x0b", ioTimeout, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, served := connect(t, newKeys(t))
				begin := time.Now()
				if _, err := io.WriteString(near, c.sent); err != nil {
					t.Fatal(err)
				}
				if err := <-served; err == nil || !strings.Contains(err.Error(), c.want) || time.Since(begin) != c.ends {
					t.Errorf("ended after %v with %v", time.Since(begin), err)
				}
				_ = near.Close()
			})
		})
	}
}

// TestStop checks that a running request has its answer, that an idle connection ends at once, and
// that a request that takes longer than the grace is cut off.
func TestStop(t *testing.T) {
	for _, inTime := range []bool{true, false} {
		k := newKeys(t)
		k.block = make(chan struct{})
		socket, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "agent.sock"))
		if err != nil {
			t.Fatal(err)
		}
		grace := time.Hour
		if !inTime {
			grace = time.Millisecond
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, socket, Config{Keys: k, Grace: grace}) }()
		dial := func() net.Conn {
			conn, err := new(net.Dialer).DialContext(t.Context(), "unix", socket.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		idle, busy := dial(), dial()
		public, err := ssh.NewPublicKey(&k.private.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		signed := make(chan error, 1)
		go func() { _, err := agent.NewClient(busy).Sign(public, []byte("data")); signed <- err }()
		<-k.asked
		stop()
		if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the idle connection: %v", err)
		}
		if inTime {
			close(k.block)
		}
		if err := <-signed; (err == nil) != inTime {
			t.Errorf("in time %v: signed %v", inTime, err)
		}
		if err := <-served; (err == nil) != inTime {
			t.Errorf("in time %v: served %v", inTime, err)
		}
	}
}

// FuzzConnection checks that only a signature of the key's own data answers a message with 14, and
// that no message makes a panic.
func FuzzConnection(f *testing.F) {
	k := newKeys(f)
	k.asked = nil
	public, err := ssh.NewPublicKey(&k.private.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	message := ssh.Marshal(signing{Blob: public.Marshal(), Data: []byte("data")})
	f.Add([]byte{requestIdentities})
	f.Add(message)
	f.Add(message[:len(message)-3])
	f.Add(binary.BigEndian.AppendUint32([]byte{signRequest}, 1<<31))
	f.Add([]byte{17, 0, 0, 0, 0})
	f.Add([]byte{27})
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) == 0 || len(message) > maxMessage {
			return // refused before
		}
		k.asked = make(chan struct{}, 1)
		c := &connection{Config: Config{Keys: k}}
		answer, err := c.answer(t.Context(), message)
		switch {
		case err != nil:
			return
		case message[0] != requestIdentities && message[0] != signRequest:
			t.Errorf("%x has the answer %x", message, answer)
		case message[0] == signRequest:
			var request signing
			var got signed
			var signature ssh.Signature
			if err := errors.Join(ssh.Unmarshal(message, &request), ssh.Unmarshal(answer, &got)); err != nil {
				t.Fatal(err)
			}
			if err := ssh.Unmarshal(got.Signature, &signature); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(request.Blob, public.Marshal()) || public.Verify(request.Data, &signature) != nil {
				t.Errorf("%x is signed as %x", message, answer)
			}
		}
	})
}
