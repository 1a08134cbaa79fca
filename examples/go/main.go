// Program go opens what was sealed to a key of the sidecar. It reads lines from its input:
// "CIPHERTEXT [VERSION]" opens a ciphertext in the sidecar, and "release" asks for the key.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"skr/api" // it waits and asks again where the sidecar says so
)

func main() {
	client, err := api.NewClient(api.Config{BaseURL: os.Getenv("SKR_URL")})
	newest, ctx := "", context.Background()
	for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
		value, version, _ := strings.Cut(lines.Text(), " ")
		if value == "release" {
			key, err := client.ReleaseAs(ctx, api.ReleaseRequest{Alias: os.Args[1]}, api.FormatPEM)
			fmt.Println(map[bool]string{true: fmt.Sprint("released: PEM of ", len(key), " bytes"), false: fmt.Sprint("refused: ", err)}[err == nil])
			continue
		}
		sealed := api.OperationInput{Value: api.Secret(value)}
		request := api.OperationRequest{Alias: os.Args[1], Version: version, Alg: "RSA-OAEP-256", OperationInput: sealed}
		if used, err := client.Operate(ctx, api.RouteDecrypt, request); err != nil {
			fmt.Println("refused:", err)
		} else if text, err := used.Bytes(); err == nil {
			if now := path.Base(used.KID); version == "" && now != newest { // the key was rotated
				fmt.Println("key version:", now)
				newest = now
			}
			fmt.Println("opened:", string(text))
		}
	}
}
