// Command produce is the producer of the demonstration; package producer says what it does.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no CA bundle

	"skr/examples/kafka/pod"
	"skr/examples/kafka/producer"
)

func main() { os.Exit(pod.Main(producer.Run)) }
