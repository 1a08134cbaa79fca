// Package lint treats key release policies as code: it writes them, judges
// them before a vault sees them, compares them, and tells why one is not met.
//
//	policy, err := lint.New(lint.Spec{
//		Platform: claims.ACI, Authorities: []string{"sharedweu.weu.attest.azure.net"}, HostData: []string{digest},
//	})
//	…
//	for _, f := range lint.Check(policy.Raw(), lint.Subject{}) {
//		fmt.Println(f.Line, f.Name, f.Found, f.Fix)
//	}
//
// The language itself, its parser and its meaning are in package hsm: what [Explain]
// and a [Suite] say is what releasepolicy.Policy.Evaluate says. [Check] judges a policy
// by its text and by the catalogue of package claims. A policy without findings
// may still be wrong for its workload, which only its author knows.
package lint

import (
	"bytes"
	"fmt"
	"strings"

	"skr/internal/jose/jws"
	"skr/internal/strictjson"
	"skr/internal/textfile"
)

// maxToken bounds a token in bytes; one with evidence in its runtime data has some
// ten kilobytes.
const maxToken = 1 << 20

// ReadClaims takes the claims of a token, or claims as JSON. It does not verify
// the token: that it is authentic is for others to say. {"token":"…"}, as
// authorities and skr answer, is taken for the token.
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
