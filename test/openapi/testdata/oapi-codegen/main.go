// Command client is a user's program around a client that oapi-codegen
// generated.
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
	client, err := skr.NewClientWithResponses(base)
	if err != nil {
		return err
	}
	var byAlias, byNames, unknown skr.ReleaseRequest
	if err := byAlias.FromReleaseByAlias(skr.ReleaseByAlias{Alias: alias}); err != nil {
		return err
	}
	if err := byNames.FromReleaseByNames(skr.ReleaseByNames{MaaEndpoint: authority, AkvEndpoint: vault, Kid: key}); err != nil {
		return err
	}
	if err := unknown.FromReleaseByAlias(skr.ReleaseByAlias{Alias: "absent"}); err != nil {
		return err
	}
	for _, request := range []skr.ReleaseRequest{byAlias, byNames} {
		answer, err := client.KeyReleaseWithResponse(ctx, nil, request)
		if err != nil {
			return err
		}
		if answer.JSON200 == nil {
			return fmt.Errorf("status %s: %s", answer.Status(), answer.Body)
		}
		var jwk struct{ Kty string }
		if err := json.Unmarshal([]byte(answer.JSON200.Key), &jwk); err != nil {
			return err
		}
		fmt.Println("released", jwk.Kty)
	}
	answer, err := client.KeyReleaseWithResponse(ctx, nil, unknown)
	if err != nil {
		return err
	}
	if answer.JSON400 == nil {
		return fmt.Errorf("status %s: %s", answer.Status(), answer.Body)
	}
	fmt.Println("refused", answer.JSON400.Code == skr.BadRequestCodeBadRequest)
	report, err := client.AttestRawWithResponse(ctx, nil, skr.RawRequest{RuntimeData: base64.StdEncoding.EncodeToString([]byte("hello"))})
	if err != nil {
		return err
	}
	if report.JSON200 == nil {
		return fmt.Errorf("status %s: %s", report.Status(), report.Body)
	}
	fmt.Println("report", len(report.JSON200.Report)/2)
	return nil
}
