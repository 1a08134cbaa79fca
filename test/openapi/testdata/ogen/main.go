// Command client is a user's program around a client that ogen generated.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"client/skr"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	base, alias, authority, vault, key := args[0], args[1], args[2], args[3], args[4]
	client, err := skr.NewClient(base)
	if err != nil {
		return err
	}
	byAlias := skr.NewReleaseByAliasReleaseRequest(skr.ReleaseByAlias{Alias: alias})
	byNames := skr.NewReleaseByNamesReleaseRequest(skr.ReleaseByNames{MaaEndpoint: skr.Endpoint(authority), AkvEndpoint: skr.Endpoint(vault), Kid: key})
	for _, request := range []skr.ReleaseRequest{byAlias, byNames} {
		answer, err := client.KeyRelease(ctx, request, skr.KeyReleaseParams{})
		if err != nil {
			return err
		}
		released, ok := answer.(*skr.ReleaseResponseHeaders)
		if !ok {
			return fmt.Errorf("answer %T: %+v", answer, answer)
		}
		var jwk struct{ Kty string }
		if err := json.Unmarshal([]byte(released.Response.Key), &jwk); err != nil {
			return err
		}
		fmt.Println("released", jwk.Kty)
	}
	answer, err := client.KeyRelease(ctx, skr.NewReleaseByAliasReleaseRequest(skr.ReleaseByAlias{Alias: "absent"}), skr.KeyReleaseParams{})
	if err != nil {
		return err
	}
	refused, ok := answer.(*skr.BadRequestHeaders)
	fmt.Println("refused", ok && refused.Response.Code == skr.BadRequestCodeBadRequest)
	report, err := client.AttestRaw(ctx, &skr.RawRequest{RuntimeData: skr.RuntimeData(base64.StdEncoding.EncodeToString([]byte("hello")))}, skr.AttestRawParams{})
	if err != nil {
		return err
	}
	got, ok := report.(*skr.RawResponseHeaders)
	if !ok {
		return fmt.Errorf("answer %T: %+v", report, report)
	}
	fmt.Println("report", len(got.Response.Report)/2)
	return nil
}
