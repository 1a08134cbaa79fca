// Command consume is the consumer of the demonstration; package consumer says what it does.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no CA bundle

	"skr/examples/kafka/pod"
	"skr/examples/kafka/consumer"
)

func main() { os.Exit(pod.Main(consumer.Run)) }
