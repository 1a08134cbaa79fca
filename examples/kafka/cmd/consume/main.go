// Command consume is the demonstration's consumer; see package consumer.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no CA bundle

	"skr/examples/kafka/consumer"
	"skr/examples/kafka/pod"
)

func main() { os.Exit(pod.Main(consumer.Run)) }
