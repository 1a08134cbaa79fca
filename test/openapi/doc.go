// Package openapi makes clients from api/openapi.yaml with three generators, and has
// each of them release a key from a real sidecar: openapi-typescript, oapi-codegen and
// ogen. The clients are modules of their own in testdata, so that what they need is no
// dependency of skr.
package openapi
