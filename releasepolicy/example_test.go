package releasepolicy_test

import (
	"fmt"
	"log"

	"skr/releasepolicy"
)

const policyFile = `{
  "version": "1.0.0",
  "anyOf": [{
    "authority": "https://sharedweu.weu.attest.azure.net",
    "allOf": [
      {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
      {"claim": "x-ms-sevsnpvm-is-debuggable", "equals": "false"},
      {"claim": "x-ms-sevsnpvm-guestsvn", "greaterOrEquals": 3}
    ]
  }]
}`

// The claims come from a token that was already verified.
func Example() {
	policy, err := releasepolicy.Parse([]byte(policyFile))
	if err != nil {
		log.Fatal(err)
	}
	claims, err := releasepolicy.ParseClaims([]byte(`{
		"iss": "https://sharedweu.weu.attest.azure.net",
		"x-ms-attestation-type": "sevsnpvm",
		"x-ms-sevsnpvm-is-debuggable": false,
		"x-ms-sevsnpvm-guestsvn": 2
	}`))
	if err != nil {
		log.Fatal(err)
	}
	evaluation := policy.Evaluate("https://sharedweu.weu.attest.azure.net", claims)
	fmt.Println("met:", evaluation.Met)
	for _, c := range evaluation.Unmet() {
		fmt.Printf("line %d: %s, but the token has %s\n", c.Line, c, c.Actual)
	}
	// Output:
	// met: false
	// line 8: x-ms-sevsnpvm-guestsvn greaterOrEquals 3, but the token has 2
}

func ExamplePolicy_Explain() {
	policy, err := releasepolicy.Parse([]byte(policyFile))
	if err != nil {
		log.Fatal(err)
	}
	explanation := policy.Explain(map[string]any{
		"iss":                         "https://sharedweu.weu.attest.azure.net",
		"x-ms-attestation-type":       "SevSnpVm",
		"x-ms-sevsnpvm-is-debuggable": false,
	})
	fmt.Print(explanation.Text(releasepolicy.PlainMarks))
	// Output:
	// issuer  https://sharedweu.weu.attest.azure.net
	//
	// NOT MET authority https://sharedweu.weu.attest.azure.net, all of
	// NOT MET   x-ms-attestation-type equals sevsnpvm, and is SevSnpVm
	//             only capitals differ, and they count
	// met       x-ms-sevsnpvm-is-debuggable equals false
	// NOT MET   x-ms-sevsnpvm-guestsvn greaterOrEquals 3, and is absent
	//             it says: security version of the guest, as its launch said
	//
	// The token does not meet the policy, because of x-ms-attestation-type, x-ms-sevsnpvm-guestsvn.
}

func ExampleNew() {
	policy, err := releasepolicy.New(releasepolicy.Condition{
		Kind:      releasepolicy.AllOf,
		Authority: "https://sharedweu.weu.attest.azure.net",
		Conditions: []releasepolicy.Condition{
			{Kind: releasepolicy.Claim, Claim: "secureboot", Operator: releasepolicy.Equals, Value: releasepolicy.Text("true")},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", policy.Raw())
	// Output:
	// {
	//   "version": "1.0.0",
	//   "anyOf": [
	//     {
	//       "authority": "https://sharedweu.weu.attest.azure.net",
	//       "allOf": [
	//         {
	//           "claim": "secureboot",
	//           "equals": "true"
	//         }
	//       ]
	//     }
	//   ]
	// }
}
