// Package ocicryptpb is the gRPC service by the name that ocicrypt itself uses. It
// is generated from api/ocicrypt.proto, as package keyproviderpb is from its own.
package ocicryptpb
