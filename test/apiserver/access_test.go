package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// requests are what an attacker who controls a pod would ask of the API, as members of a
// SubjectAccessReview.
var requests = []string{
	"resourceAttributes: {namespace: %s, verb: get, resource: secrets}",
	"resourceAttributes: {namespace: %s, verb: list, resource: pods}",
	"resourceAttributes: {namespace: %s, verb: create, resource: pods}",
	"resourceAttributes: {namespace: %s, verb: create, resource: pods, subresource: exec}",
	"resourceAttributes: {namespace: %s, verb: create, resource: serviceaccounts, subresource: token}",
	"resourceAttributes: {namespace: %s, verb: update, group: apps, resource: deployments}",
	"resourceAttributes: {namespace: %s, verb: create, group: rbac.authorization.k8s.io, resource: rolebindings}",
	"resourceAttributes: {namespace: %s, verb: get, group: secrets-store.csi.x-k8s.io, resource: secretproviderclasses}",
	"resourceAttributes: {verb: get, resource: nodes}",
	"resourceAttributes: {verb: get, resource: persistentvolumes}",
	"resourceAttributes: {verb: impersonate, resource: users}",
	"resourceAttributes: {verb: '*', group: '*', resource: '*'}",
	"nonResourceAttributes: {verb: get, path: /metrics}",
}

// TestAccess checks that the service accounts of chart and manifests have no rights: skr asks
// the API for nothing. The API server's own authorizer decides.
func TestAccess(t *testing.T) {
	accounts := 0
	for _, i := range append(chartFiles(t), manifests(t)...) {
		namespace := newNamespace(t, "privileged")
		text := i.text(t, namespace)
		if strings.Contains(text, "rbac.authorization.k8s.io") {
			t.Errorf("%s grants rights: add them to this test", i.name)
		}
		found, err := documents(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range found {
			if kindOf(t, document) == "ServiceAccount" {
				accounts++
				checkPowerless(t, i.name, namespace, document)
			}
		}
	}
	if accounts < 10 {
		t.Errorf("only %d service accounts", accounts)
	}
}

// checkPowerless creates a service account, and checks that it may do nothing.
func checkPowerless(t *testing.T, where, namespace, document string) {
	t.Helper()
	if err := cluster.create(t.Context(), document, namespace, nil); err != nil {
		t.Fatal(err)
	}
	name := member(parsed(t, document), "metadata")["name"].(string)
	for _, request := range requests {
		if may(t, namespace, name, request) {
			t.Errorf("%s: the service account %s may: %s", where, name, request)
		}
	}
}

// TestAccessGranted checks that the authorizer allows what a role grants, so that the test
// above can fail.
func TestAccessGranted(t *testing.T) {
	namespace := newNamespace(t, "restricted")
	makeAccount(t, namespace, "orders")
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\n" +
		"rules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]\n"
	const binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: reader}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}\nsubjects: [{kind: ServiceAccount, name: orders, namespace: %s}]\n"
	for _, document := range []string{role, fmt.Sprintf(binding, namespace)} {
		if err := cluster.create(t.Context(), document, namespace, nil); err != nil {
			t.Fatal(err)
		}
	}
	// The authorizer reads roles from its cache, which follows within moments.
	deadline := time.Now().Add(time.Minute)
	for !may(t, namespace, "orders", requests[0]) {
		if time.Now().After(deadline) {
			t.Fatal("the role has no effect")
		}
	}
	if may(t, namespace, "orders", requests[1]) {
		t.Error("the role grants more than it names")
	}
}

// may reports whether a service account may do what is in request.
func may(t *testing.T, namespace, account, request string) bool {
	t.Helper()
	if strings.Contains(request, "%s") {
		request = fmt.Sprintf(request, namespace)
	}
	const review = "apiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\nspec:\n  user: system:serviceaccount:%[1]s:%[2]s\n" +
		"  groups: ['system:serviceaccounts', 'system:serviceaccounts:%[1]s', 'system:authenticated']\n  %[3]s\n"
	answer, err := cluster.created(t.Context(), fmt.Sprintf(review, namespace, account, request), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var decision struct{ Status struct{ Allowed bool } }
	if err := json.Unmarshal(answer, &decision); err != nil {
		t.Fatal(err)
	}
	return decision.Status.Allowed
}
