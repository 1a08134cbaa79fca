package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/sidecar/keyspb"
)

// keysClient returns a client of the methods of s.
func keysClient(t *testing.T, s *Server) (keyspb.KeysClient, *grpc.ClientConn) {
	t.Helper()
	conn, _ := dialGRPC(t, s)
	return keyspb.NewKeysClient(conn), conn
}

func request(alg string, input *keyspb.OperationInput, batch ...*keyspb.OperationInput) *keyspb.OperationRequest {
	return &keyspb.OperationRequest{Alias: "orders", Alg: alg, Input: input, Batch: batch}
}

// TestKeysOverGRPC checks each method with a key that stays in the sidecar, one input and a batch.
func TestKeysOverGRPC(t *testing.T) {
	audited := &auditor{}
	s, _ := newKeeper(t, []string{"encrypt", "decrypt", "wrapKey", "unwrapkey", "sign", "verify"}, func(c *Config) { c.Auditor = audited })
	client, _ := keysClient(t, s)
	text, digest := []byte("sixteen bytes..."), sha256.Sum256([]byte("text"))
	var header metadata.MD
	sealed, err := client.Encrypt(t.Context(), request("RSA-OAEP-256", &keyspb.OperationInput{Value: text}), grpc.Header(&header))
	if err != nil || sealed.GetKid() != keyID || sealed.GetAlg() != "RSA-OAEP-256" || header.Get(api.HeaderKeyID)[0] != keyID {
		t.Fatalf("encrypt: %v, %v, header %v", sealed, err, header)
	}
	value := &keyspb.OperationInput{Value: sealed.GetResult().GetValue()}
	opened, err := client.Decrypt(t.Context(), request("RSA-OAEP-256", value))
	if err != nil || !bytes.Equal(opened.GetResult().GetValue(), text) {
		t.Errorf("decrypt: %v, %v", opened, err)
	}
	opened, err = client.Decrypt(t.Context(), request("RSA-OAEP-256", nil, value, &keyspb.OperationInput{Value: []byte("x")}, value))
	if results := opened.GetResults(); err != nil || len(results) != 3 || !bytes.Equal(results[2].GetValue(), text) ||
		!strings.Contains(results[1].GetError(), "does not open with this key") || results[1].GetValue() != nil {
		t.Errorf("batch: %v, %v", opened, err)
	}
	wrapped, err := client.Wrap(t.Context(), request("RSA-OAEP", &keyspb.OperationInput{Value: text}))
	if err != nil {
		t.Fatal(err)
	}
	opened, err = client.Unwrap(t.Context(), request("RSA-OAEP", &keyspb.OperationInput{Value: wrapped.GetResult().GetValue()}))
	if err != nil || !bytes.Equal(opened.GetResult().GetValue(), text) {
		t.Errorf("unwrap: %v, %v", opened, err)
	}
	signed, err := client.Sign(t.Context(), request("PS256", &keyspb.OperationInput{Value: digest[:]}))
	if err != nil {
		t.Fatal(err)
	}
	for _, valid := range []bool{true, false} {
		got, err := client.Verify(t.Context(), request("PS256", &keyspb.OperationInput{Value: signed.GetResult().GetValue(), Digest: digest[:]}))
		if err != nil || got.GetResult().GetValid() != valid {
			t.Errorf("verify: %v, %v; want %v", got, err, valid)
		}
		digest[0] ^= 1
	}
	public, err := client.Public(t.Context(), &keyspb.PublicRequest{Alias: "orders"})
	if parsed, parseErr := jwk.Parse([]byte(public.GetKey())); err != nil || parseErr != nil || parsed.Kid != keyID || parsed.D != "" {
		t.Errorf("public: %v, %v, %v", public, err, parseErr)
	}
	if len(audited.uses) != 8 || audited.uses[2].Count != 3 || audited.uses[2].Failed != 1 || audited.uses[2].Key != keyID {
		t.Errorf("audited %+v", audited.uses)
	}
	audited.fail = errors.New("the disk is full")
	if _, err := client.Sign(t.Context(), request("PS256", &keyspb.OperationInput{Value: digest[:]})); status.Code(err) != grpccodes.Internal {
		t.Errorf("without a record: %v", err)
	}
}

// TestKeysOverGRPCRefusals checks wrong requests, rights, and that an access rule for the route of
// HTTP is for the method too.
func TestKeysOverGRPCRefusals(t *testing.T) {
	s, _ := newKeeper(t, []string{"decrypt", "sign"}, nil)
	client, _ := keysClient(t, s)
	one := &keyspb.OperationInput{Value: []byte("x")}
	for name, c := range map[string]struct {
		request *keyspb.OperationRequest
		want    string
	}{
		"no input":  {request("RSA-OAEP", nil), `set "input", or 1 to 100 inputs`},
		"both":      {request("RSA-OAEP", one, one), "leave"},
		"too many":  {request("RSA-OAEP", nil, make([]*keyspb.OperationInput, 101)...), `set "input", or 1 to 100 inputs`},
		"no alg":    {request("", one), `member "alg" is missing`},
		"wrong alg": {request("none", one), "is no algorithm that this key has"},
		"no open":   {request("RSA-OAEP", one), "does not open with this key"},
		"no alias":  {&keyspb.OperationRequest{Alg: "RSA-OAEP", Input: one}, `member "alias" is missing`},
	} {
		for i := range c.request.GetBatch() {
			c.request.Batch[i] = one
		}
		if _, err := client.Decrypt(t.Context(), c.request); status.Code(err) != grpccodes.InvalidArgument || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := client.Encrypt(t.Context(), request("RSA-OAEP", one)); status.Code(err) != grpccodes.PermissionDenied {
		t.Errorf("an operation that ops do not list: %v", err)
	}
	const token = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	rule := access.Rule{Name: "app", TokenFile: file, Routes: []string{api.RouteDecrypt}, Keys: []string{"orders"}}
	policy, err := access.New(access.Config{Rules: []access.Rule{rule}, Routes: api.Routes(), Keys: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	bound, _ := newKeeper(t, nil, func(c *Config) { c.Access = policy })
	client, _ = keysClient(t, bound)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if _, err := client.Decrypt(ctx, request("RSA-OAEP", one)); status.Code(err) != grpccodes.InvalidArgument {
		t.Errorf("the route is listed: %v", err)
	}
	if _, err := client.Sign(ctx, request("RS256", one)); status.Code(err) != grpccodes.PermissionDenied || !strings.Contains(err.Error(), api.RouteSign) {
		t.Errorf("the route is not listed: %v", err)
	}
	if _, err := client.Decrypt(t.Context(), request("RSA-OAEP", one)); status.Code(err) != grpccodes.PermissionDenied {
		t.Errorf("without a token: %v", err)
	}
}

// tryMethods tries every method of gRPC for the private part of a key that stays here.
func tryMethods(t *testing.T, s *Server, private jwk.Key) {
	t.Helper()
	client, conn := keysClient(t, s)
	var answers []proto.Message
	for _, method := range []func() (proto.Message, error){
		func() (proto.Message, error) {
			return client.Public(t.Context(), &keyspb.PublicRequest{Alias: "orders"})
		},
		func() (proto.Message, error) {
			return client.Decrypt(t.Context(), request("RSA-OAEP", nil, &keyspb.OperationInput{Value: []byte("x")}))
		},
		func() (proto.Message, error) {
			return client.Sign(t.Context(), request("RS256", &keyspb.OperationInput{Value: make([]byte, 32)}))
		},
	} {
		answer, err := method()
		if err != nil {
			t.Error(err)
		}
		answers = append(answers, answer)
	}
	provider := keyproviderpb.NewKeyProviderServiceClient(conn)
	for name, refused := range map[string]func() (proto.Message, error){
		"Encrypt": func() (proto.Message, error) {
			return client.Encrypt(t.Context(), request("RSA-OAEP", &keyspb.OperationInput{Value: []byte("x")}))
		},
		"Wrap": func() (proto.Message, error) {
			return client.Wrap(t.Context(), request("RSA-OAEP", &keyspb.OperationInput{Value: []byte("x")}))
		},
		"Unwrap": func() (proto.Message, error) {
			return client.Unwrap(t.Context(), request("RSA-OAEP", &keyspb.OperationInput{Value: []byte("x")}))
		},
		"Verify": func() (proto.Message, error) {
			return client.Verify(t.Context(), request("RS256", &keyspb.OperationInput{Value: []byte("x"), Digest: make([]byte, 32)}))
		},
		"UnWrapKey": func() (proto.Message, error) { return unwrapAnnotation(t, conn) },
		"GetReport": func() (proto.Message, error) {
			return provider.GetReport(t.Context(), &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: strings.Repeat("00", 65)})
		},
		"GetAttestationData": func() (proto.Message, error) {
			return provider.GetAttestationData(t.Context(), &keyproviderpb.KeyProviderGetAttestationDataInput{B64RuntimeDataString: strings.Repeat("AAAA", 30)})
		},
	} {
		answer, err := refused()
		if status.Code(err) != grpccodes.PermissionDenied {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
	}
	for _, answer := range answers {
		text := protojson.Format(answer)
		if strings.Contains(text, private.D) || strings.Contains(text, private.P) {
			t.Errorf("an answer has the private part: %s", text)
		}
	}
}

// TestKeyInVaultIsNotReleased checks that no name of the key of an alias with in_vault leads to a
// release, to the caller or to the key provider.
func TestKeyInVaultIsNotReleased(t *testing.T) {
	var log bytes.Buffer
	s, kept := newKeeper(t, nil, func(c *Config) {
		rights, err := keyuse.ParseRightsInVault(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Rights["orders"] = rights
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	kept.fail = func(context.Context) error { t.Error("the key was released"); return errors.New("no") }
	names := `{"maa_endpoint":"contoso.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"demo"}`
	for _, body := range []string{`{"alias":"orders"}`, names} {
		if got := ask(t, s, newRequest("POST", api.RouteRelease, body)); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", body, got.StatusCode)
		}
	}
	_, conn := keysClient(t, s)
	if _, err := unwrapAnnotation(t, conn); status.Code(err) != grpccodes.PermissionDenied || !strings.Contains(err.Error(), "in_vault") {
		t.Errorf("the key provider: %v", err)
	}
}

// unwrapAnnotation lets the key provider open an annotation that names the key of "orders".
func unwrapAnnotation(t *testing.T, conn *grpc.ClientConn) (proto.Message, error) {
	t.Helper()
	encode := base64.StdEncoding.EncodeToString
	annotation := `{"kid":"demo","wrapped_data":"` + encode(make([]byte, 256)) + `","wrap_type":"rsa_2048",` +
		`"kms_endpoint":"contoso.vault.azure.net","attester_endpoint":"contoso.eus.attest.azure.net"}`
	input := `{"op":"keyunwrap","keyunwrapparams":{"dc":{"Parameters":{"attestation-agent":["` + encode([]byte("skr")) + `"]}},"annotation":"` +
		encode([]byte(annotation)) + `"}}`
	return keyproviderpb.NewKeyProviderServiceClient(conn).UnWrapKey(t.Context(),
		&keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: []byte(input)})
}
