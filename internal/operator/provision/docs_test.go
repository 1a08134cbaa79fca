package provision

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table of roles in docs/keys.md matches the refusals.
func TestDocumentedRoles(t *testing.T) {
	text, err := os.ReadFile("../../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verbs {
		if row := fmt.Sprintf("| %s keys | %s | %s |\n", v.name, v.vaultRole, v.hsmRole); !strings.Contains(string(text), row) {
			t.Errorf("docs/keys.md lacks %s", row)
		}
	}
}
