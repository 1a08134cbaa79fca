package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"skr/examples/kafka/emulated"
)

func TestOnce(t *testing.T) {
	bin := t.TempDir()
	if _, err := emulated.Build(t.Context(), "../../..", bin); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	listen := "127.0.0.1:" + freePort(t)
	if err := run(t.Context(), []string{"--bin", bin, "--listen", listen, "--once", "--verbose"}, &out, &errOut); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &errOut)
	}
	for _, want := range []string{
		`with skr    its page shows "Msg 1: Azure Confidential Computing"`,
		`without     its page shows ciphertext: "This message cannot be decrypted: `,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
	if listener, err := net.Listen("tcp", listen); err != nil {
		t.Errorf("something still listens: %v", err)
	} else {
		_ = listener.Close()
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	return port
}

func TestWithoutPrograms(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"--bin", t.TempDir()}, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}
