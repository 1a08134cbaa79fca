// Package keyspb is the gRPC service for operations with keys that stay in the sidecar. It is
// generated from api/keys.proto:
//
//	go run ./test/generate
package keyspb
