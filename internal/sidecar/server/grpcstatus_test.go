package server

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	grpccodes "google.golang.org/grpc/codes"

	"skr/api"
	"skr/internal/cli"
	"skr/internal/refusal"
	"skr/test/reference"
)

// TestCodesReference compares the codes of the API with their page. Each code has a gRPC code, an exit
// code, a meaning, and advice.
func TestCodesReference(t *testing.T) {
	meanings := map[api.Code]string{}
	for _, constant := range reference.Constants(t, "../../../api/error.go", "Code") {
		meanings[api.Code(constant.Value)] = constant.Comment
	}
	var rows [][]string
	var advice strings.Builder
	for _, code := range api.Codes() {
		err := errorOf(code)
		if GRPCCode(code) == grpccodes.OK || meanings[code] == "" {
			t.Errorf("%s has no gRPC code or no meaning", code)
		}
		rows = append(rows, []string{
			reference.Code(string(code)), strconv.Itoa(code.HTTPStatus()), GRPCCode(code).String(),
			strconv.Itoa(cli.ExitCode(err)), meanings[code],
		})
		do := refusal.Advice(err)
		if code == api.Internal {
			do = strings.TrimPrefix(classify(err).text, "internal error, ")
		}
		if do == "" {
			t.Errorf("%s has no advice", code)
		}
		advice.WriteString(reference.Wrap(fmt.Sprintf("- `%s`: %s", code, do), "  ") + "\n")
	}
	reference.Check(t, "docs/reference/codes.md", "codes", reference.Table([]string{"code", "HTTP", "gRPC", "exit code", "meaning"}, rows))
	reference.Check(t, "docs/reference/codes.md", "advice", advice.String())
}

// errorOf returns an error with the code.
func errorOf(code api.Code) error {
	for _, row := range codes {
		if row.code == code {
			return refusal.Newf(row.kind, "")
		}
	}
	return errors.New("a bug")
}
