package script

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"
	"oras.land/oras-go/v2/content/oci"

	"skr/test/ocitest"
)

// image makes an image in a directory with OCI's layout: "image DIR TAG TEXT".
func image(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: image DIR TAG TEXT")
	}
	store, err := oci.New(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(ocitest.Push(context.Background(), store, args[1], args[2]))
}
