package inspect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ccePolicy is Rego, whose SHA-256 the platform gives as HOST_DATA.
type ccePolicy []byte

// readCCEPolicy knows Rego by the package that a module begins with, after
// comments ("Policy Language", Open Policy Agent: Modules).
func readCCEPolicy(in input) (content, error) {
	for line := range bytes.Lines(in.text) {
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) == 2 && string(words[0]) == "package" {
			return ccePolicy(in.raw), nil
		}
		break
	}
	return nil, errOther
}

func (p ccePolicy) sections(time.Time) []Section {
	s := Section{Title: "CCE policy"}
	s.add("size", strconv.Itoa(len(p)), "bytes of Rego")
	s.add("SHA-256", digest(p), "HOST_DATA of a guest that runs under it, x-ms-sevsnpvm-hostdata in policies")
	return []Section{s}
}
