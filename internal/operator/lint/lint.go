// Package lint judges key release policies before a vault sees them: it writes them for a
// workload, finds what is wrong in them, and runs tables of tests against them.
//
//	policy, err := lint.New(lint.Spec{
//		Platform: claims.ACI, Authorities: []string{"sharedweu.weu.attest.azure.net"}, HostData: []string{digest},
//	})
//	…
//	for _, f := range lint.Check(policy.Raw(), lint.Subject{}) {
//		fmt.Println(f.Line, f.Name, f.Found, f.Fix)
//	}
//
// The language is in package releasepolicy: [Check] works on its tree, and a [Suite] repeats
// what its Evaluate says. [Check] knows the text of a policy and the catalogue of package
// claims. A policy without findings may still be wrong for its workload.
package lint

import (
	"bytes"
	"fmt"
	"strings"

	"skr/internal/jose/jws"
	"skr/internal/strictjson"
	"skr/internal/textfile"
)

// maxToken bounds a token in bytes. A token with evidence in its runtime data has about ten
// kilobytes.
const maxToken = 1 << 20

// ReadClaims returns the claims of a token, or claims in JSON. It does not verify the token.
// {"token":"…"}, which authorities and skr answer, stands for the token.
func ReadClaims(data []byte) (strictjson.Object, error) {
	claims, err := readClaims(string(bytes.TrimSpace(textfile.UTF8(data))))
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("reading claims: %w", err)
	}
	return claims, nil
}

func readClaims(text string) (strictjson.Object, error) {
	if strings.HasPrefix(text, "{") {
		claims, err := strictjson.Parse([]byte(text))
		if token, found := claims.Text("token"); err == nil && found {
			return readToken(token)
		}
		return claims, err
	}
	return readToken(text)
}

func readToken(text string) (strictjson.Object, error) {
	signed, err := jws.Parse(text, maxToken)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("it is neither a JSON object nor a token: %w", err)
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("the token's payload %w", err)
	}
	return claims, nil
}
