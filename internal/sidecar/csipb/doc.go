// Package csipb is the gRPC service by which the Secrets Store CSI driver asks its
// providers for files. It is generated from api/csiprovider.proto:
//
//	go run ./test/generate
package csipb
