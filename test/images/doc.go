// Package images tests the key provider with its clients: skopeo, which encrypts and
// decrypts container images through it, and grpcurl.
package images
