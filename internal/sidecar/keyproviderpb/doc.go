// Package keyproviderpb is the gRPC service of the sidecar that skr takes the
// place of. It is generated from api/keyprovider.proto:
//
//	go run ./test/generate
package keyproviderpb
