// Program compose is the application of compose.yaml. It gets the key that its argument names,
// prints what it has, and ends.
package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"skr/api"
)

// patience covers tools that start the sidecar and this program before the emulator is ready.
const patience = 2 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: skr-example ALIAS")
		os.Exit(2)
	}
	key, err := release(os.Args[1])
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Printf("has the key %s: RSA, %d bits\n", os.Args[1], key.N.BitLen())
}

func release(alias string) (*rsa.PrivateKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := api.NewClient(api.Config{BaseURL: os.Getenv("SKR_URL")})
	if err != nil {
		return nil, err
	}
	if err := client.WaitReady(ctx); err != nil {
		return nil, err
	}
	der, err := client.ReleaseAs(ctx, api.ReleaseRequest{Alias: alias}, api.FormatDER)
	for (errors.Is(err, api.KeyNotFound) || errors.Is(err, api.Unavailable)) && ctx.Err() == nil { // the emulator has not made it yet
		time.Sleep(time.Second)
		der, err = client.ReleaseAs(ctx, api.ReleaseRequest{Alias: alias}, api.FormatDER)
	}
	if err != nil {
		return nil, err
	}
	defer der.Wipe()
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	pair, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is a %T", alias, key)
	}
	return pair, nil
}
