package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"skr/api"
	"skr/attest"
	"skr/attest/maa"
)

func init() { steps["token"] = verifyToken }

// verifyToken gets a token from the sidecar and verifies it with the keys of its authority.
func verifyToken(ctx context.Context) error {
	client, err := api.NewClient(api.Config{BaseURL: os.Getenv("SIDECAR")})
	if err != nil {
		return err
	}
	host := os.Getenv("AUTHORITY")
	text, err := client.Token(ctx, host, []byte(`{"client":"outside"}`))
	if err != nil {
		return err
	}
	defer text.Wipe()
	token, err := maa.ParseUnverified(string(text))
	if err != nil {
		return err
	}
	authorities, err := attest.ParseAuthorities([]string{host})
	if err != nil {
		return err
	}
	authority, err := authorities.Parse(host)
	if err != nil {
		return err
	}
	network, err := httpClient()
	if err != nil {
		return err
	}
	keys, err := maa.New(maa.Config{HTTP: network}).Keys(ctx, authority)
	if err != nil {
		return err
	}
	if err := token.Verify(authority, keys, time.Now()); err != nil {
		return err
	}
	runtime, _ := token.Claims()["x-ms-runtime"].(map[string]any)
	fmt.Println("token verified:", token.Claims()["x-ms-attestation-type"], runtime["client"])
	fmt.Println("tomorrow it is over:", errors.Is(token.Verify(authority, keys, time.Now().Add(24*time.Hour)), maa.ErrTimes))
	return nil
}

// httpClient trusts the CA of the emulated cloud, all hosts of which are on this machine.
func httpClient() (*http.Client, error) {
	pem, err := os.ReadFile(os.Getenv("CA_FILE"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the CA file has no certificate")
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: pool}}}, nil
}
