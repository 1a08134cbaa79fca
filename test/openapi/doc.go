// Package openapi generates clients from api/openapi.yaml with
// openapi-typescript, oapi-codegen and ogen, and has each of them release a key
// from a real sidecar. The clients are separate modules in testdata, so that
// skr does not depend on their dependencies.
package openapi
