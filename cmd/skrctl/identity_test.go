package main

import (
	"strings"
	"testing"

	"skr/internal/azure/outbound"
	"skr/internal/config"
	"skr/internal/operator/login"
)

// An incomplete identity is refused: the remaining variables would select a different one.
func TestPartOfAnIdentity(t *testing.T) {
	const client, tenant, file, secret = "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET"
	const annotation = "azure.workload.identity/client-id"
	for _, test := range []struct {
		set        []string
		pod, desk  string // the missing variable; "" if the identity is complete
		annotation bool
	}{
		{nil, "", "", false},
		{[]string{client}, "", "", false},
		{[]string{client, tenant, file}, "", "", false},
		{[]string{tenant, file}, client, client, true},
		{[]string{file}, client, client, true},
		{[]string{client, file}, tenant, tenant, true},
		{[]string{client, tenant}, file, "", true},
		{[]string{tenant}, client, "", true},
		{[]string{client, tenant, secret}, file, "", true},
		{[]string{client, secret}, "", tenant, false},
		{[]string{secret}, "", client, false},
	} {
		t.Run(strings.Join(test.set, " "), func(t *testing.T) {
			env := make(config.Environment)
			for _, name := range test.set {
				env[name] = "00000000-0000-0000-0000-000000000001"
			}
			s, _, err := config.Load(nil, env)
			if err != nil {
				t.Fatal(err)
			}
			out, err := outbound.New(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = outbound.Identity(s, out)
			checkMissing(t, "a pod", err, test.pod)
			if test.pod != "" && test.annotation && !strings.Contains(err.Error(), annotation) {
				t.Errorf("%v does not name the annotation", err)
			}
			_, err = login.Operator(s, env, out)
			checkMissing(t, "a desk", err, test.desk)
		})
	}
}

func checkMissing(t *testing.T, who string, err error, missing string) {
	t.Helper()
	switch {
	case missing == "" && err != nil:
		t.Errorf("%s: %v", who, err)
	case missing != "" && (err == nil || !strings.Contains(err.Error(), missing+" is missing")):
		t.Errorf("%s: %v, want %s to be missing", who, err, missing)
	}
}
