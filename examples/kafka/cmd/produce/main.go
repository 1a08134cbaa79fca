// Command produce is the demonstration's producer; see package producer.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no CA bundle

	"skr/examples/kafka/pod"
	"skr/examples/kafka/producer"
)

func main() { os.Exit(pod.Main(producer.Run)) }
