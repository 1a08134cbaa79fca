package images

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skr/api"
	"skr/internal/sidecar/keyproviderpb"
	"skr/test/emulator/fault"
)

// wrapInput returns a request as the reference's clients send it.
func wrapInput(key, data string) []byte {
	parameter := base64.StdEncoding.EncodeToString([]byte("skr:/some/path/" + key))
	return []byte(`{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"attestation-agent":["` + parameter + `"]}},"optsdata":"` +
		base64.StdEncoding.EncodeToString([]byte(data)) + `"}}`)
}

func unwrapInput(annotation []byte) []byte {
	return []byte(`{"op":"keyunwrap","keyunwrapparams":{"dc":{"Parameters":{"attestation-agent":["c2ty"]}},"annotation":"` +
		base64.StdEncoding.EncodeToString(annotation) + `"}}`)
}

// wrapped returns an annotation of the key with the members of change.
func (p *pod) wrapped(t testing.TB, client keyproviderpb.KeyProviderServiceClient, key string, change map[string]any) []byte {
	t.Helper()
	answer, err := client.WrapKey(t.Context(), &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: wrapInput(key, "the secret")})
	if err != nil {
		t.Fatal(err)
	}
	var results struct {
		Results struct {
			Annotation []byte `json:"annotation"`
		} `json:"keywrapresults"`
	}
	decode(t, answer.GetKeyProviderKeyWrapProtocolOutput(), &results)
	var members map[string]any
	decode(t, results.Results.Annotation, &members)
	for name, value := range change {
		members[name] = value
	}
	return encode(t, members)
}

// TestErrors: each refusal has a gRPC code, and the API's code in its details.
func TestErrors(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	client := keyproviderpb.NewKeyProviderServiceClient(p.dial(t))
	for _, c := range []struct {
		name   string
		input  []byte
		fault  string
		code   codes.Code
		api    api.Code
		words  string
		reason string
	}{
		{"not JSON", []byte("{"), "", codes.InvalidArgument, api.BadRequest, "", ""},
		{"another operation", wrapInput("layers", "x"), "", codes.InvalidArgument, api.BadRequest, "op must be", ""},
		{"another host", unwrapInput(p.wrapped(t, client, "layers", map[string]any{"kms_endpoint": "evil.example"})), "",
			codes.PermissionDenied, api.EndpointNotAllowed, "vault_allow", ""},
		{"another authority", unwrapInput(p.wrapped(t, client, "layers", map[string]any{"attester_endpoint": "evil.example"})), "",
			codes.PermissionDenied, api.EndpointNotAllowed, "maa_allow", ""},
		{"a path as key name", unwrapInput(p.wrapped(t, client, "layers", map[string]any{"kid": "../secrets/x"})), "", codes.InvalidArgument, api.BadRequest, "", ""},
		{"no such key", unwrapInput(p.wrapped(t, client, "layers", map[string]any{"kid": "absent"})), "", codes.NotFound, api.KeyNotFound, "", ""},
		{"data of another key", unwrapInput(p.wrapped(t, client, "layers", map[string]any{"wrapped_data": make([]byte, 384)})), "",
			codes.InvalidArgument, api.BadRequest, "does not open", ""},
		{"key of another workload", unwrapInput(p.wrapped(t, client, "locked", nil)), "",
			codes.PermissionDenied, api.ReleaseRejected, "not met is", "x-ms-sevsnpvm-hostdata"},
		{"forged", unwrapInput(p.wrapped(t, client, "layers", nil)), "vault/release:not-json", codes.DataLoss, api.UntrustedResponse, "", ""},
		// This case is last: skr does not call a throttling vault again for a while.
		{"throttled", unwrapInput(p.wrapped(t, client, "layers", nil)), "vault/release:status=429,retry-after=7s", codes.ResourceExhausted, api.Throttled, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.fault != "" {
				rule, err := fault.ParseRule(c.fault)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.cloud.Faults().Add(rule); err != nil {
					t.Fatal(err)
				}
				defer p.cloud.Faults().Clear()
			}
			_, err := client.UnWrapKey(t.Context(), &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: c.input})
			got := status.Convert(err)
			info, unmet := detailsOf(got)
			if got.Code() != c.code || info.GetReason() != string(c.api) || info.GetDomain() != "skr" ||
				info.GetMetadata()["request_id"] == "" || !strings.Contains(got.Message(), c.words) {
				t.Errorf("got %v with %v, want %v %s %q", got, info, c.code, c.api, c.words)
			}
			if c.reason != "" && !slices.Contains(unmet, c.reason) {
				t.Errorf("unmet conditions: %q, want %s", unmet, c.reason)
			}
			if strings.Contains(p.log.String(), "the secret") || strings.Contains(p.log.String(), base64.StdEncoding.EncodeToString([]byte("the secret"))) {
				t.Error("the log holds the secret")
			}
		})
	}
}

func detailsOf(s *status.Status) (info *errdetails.ErrorInfo, unmet []string) {
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.PreconditionFailure:
			for _, v := range detail.GetViolations() {
				unmet = append(unmet, v.GetSubject())
			}
		}
	}
	return info, unmet
}

// TestInputs: skr refuses requests beyond the limits of the protocol.
func TestInputs(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	client := keyproviderpb.NewKeyProviderServiceClient(p.dial(t))
	_, err := client.WrapKey(t.Context(), &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: make([]byte, 1<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large message: %v", err)
	}
	input := wrapInput("layers", strings.Repeat("x", 319))
	_, err = client.WrapKey(t.Context(), &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: input})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "wraps at most 318") {
		t.Errorf("more bytes than RSA wraps: %v", err)
	}
	if _, err := client.SayHello(t.Context(), &keyproviderpb.HelloRequest{Name: strings.Repeat("a", 300)}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a long name: %v", err)
	}
}
