package releasepolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTree(t *testing.T) {
	text := "{\"version\":\"1.0.0\",\"anyOf\":[\n {\"authority\":\"https://é\",\"allOf\":[{\"claim\":\"é\",\"less\":-0},\n" +
		"  {\"anyOf\":[{\"exists\":\"true\",\"claim\":\"a.b\"}]}]},\n{\"anyOf\":[{\"claim\":\"c\",\"equals\":true}],\"authority\":\"b\"}]}"
	want := []Condition{
		{Kind: AllOf, Authority: "https://é", Line: 2, Column: 2, Conditions: []Condition{
			{Kind: Claim, Claim: "é", Operator: Less, Value: Value{"0", "-0"}, Line: 2, Column: 36},
			{Kind: AnyOf, Line: 3, Column: 3, Conditions: []Condition{
				{Kind: Claim, Claim: "a.b", Operator: Exists, Value: Value{"true", `"true"`}, Line: 3, Column: 13},
			}},
		}},
		{Kind: AnyOf, Authority: "b", Line: 4, Column: 1, Conditions: []Condition{
			{Kind: Claim, Claim: "c", Operator: Equals, Value: Value{"true", "true"}, Line: 4, Column: 11},
		}},
	}
	p := mustPolicy(t, text)
	if diff := cmp.Diff(want, p.Tree()); diff != "" {
		t.Error(diff)
	}
}
