package cli

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"skr/test/reference"
)

// TestExitCodesReference compares the exit codes with their page.
func TestExitCodesReference(t *testing.T) {
	kinds := map[int][]string{}
	for _, row := range exitCodes {
		kinds[row.code] = append(kinds[row.code], row.target.Error())
	}
	var list strings.Builder
	for _, constant := range reference.Constants(t, "exit.go", "") {
		code, err := strconv.Atoi(constant.Value)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("- `%d`: %s", code, constant.Comment)
		if all := kinds[code]; len(all) > 0 {
			line += ". Refusals: " + strings.Join(all, ", ")
		}
		list.WriteString(reference.Wrap(line, "  ") + "\n")
	}
	reference.Check(t, "docs/reference/codes.md", "exit", list.String())
}
