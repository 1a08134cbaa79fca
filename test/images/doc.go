// Package images runs the key provider with the tools that use it: skopeo, which
// encrypts and decrypts container images through it, and grpcurl.
package images
