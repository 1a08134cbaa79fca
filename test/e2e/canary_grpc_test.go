package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skr/internal/jose/jwk"
	"skr/internal/sidecar/keyproviderpb"
)

// layerKey is the key that the key provider unwraps, and returns only to its caller.
const layerKey = "canary~layer_key~9c3e7a51d2b84f06"

const grpcAddress = "SKR_GRPC_LISTEN="

// exerciseGRPC calls every method, also with secrets in the wrong places.
func (c *canary) exerciseGRPC(t *testing.T, l *lab, address string, released []byte) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := keyproviderpb.NewKeyProviderServiceClient(conn)
	good := c.annotation(t, l, released)
	c.plant("the key of a layer", layerKey)
	c.plant("the key of a layer in base64", base64.StdEncoding.EncodeToString([]byte(layerKey)))
	answer, err := client.UnWrapKey(bearing(t, callerToken), keyUnwrap(good))
	if err != nil || !strings.Contains(string(answer.GetKeyProviderKeyWrapProtocolOutput()), base64.StdEncoding.EncodeToString([]byte(layerKey))) {
		t.Errorf("unwrapping: %v", err)
	}
	for _, secret := range []string{l.access, callerToken, layerKey} {
		for member := range good {
			spoilt := map[string]any{member: secret}
			for name, value := range good {
				if name != member {
					spoilt[name] = value
				}
			}
			_, err := client.UnWrapKey(bearing(t, callerToken), keyUnwrap(spoilt))
			c.noteStatus(t, err)
		}
		_, err := client.UnWrapKey(bearing(t, callerToken), protocol(secret))
		c.noteStatus(t, err)
		_, err = client.WrapKey(bearing(t, callerToken), protocol(`{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"skr":["`+
			base64.StdEncoding.EncodeToString([]byte(secret))+`"]}},"optsdata":"`+base64.StdEncoding.EncodeToString([]byte(secret))+`"}}`))
		c.noteStatus(t, err)
		report, err := client.GetReport(bearing(t, callerToken), &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: secret})
		if err != nil || strings.Contains(report.GetReportHexString(), secret) { // any text is accepted and hashed
			t.Errorf("a report over a secret: %v", err)
		}
		_, err = client.GetAttestationData(bearing(t, callerToken), &keyproviderpb.KeyProviderGetAttestationDataInput{B64RuntimeDataString: secret})
		c.noteStatus(t, err)
		_, err = client.SayHello(bearing(t, "x"+secret), &keyproviderpb.HelloRequest{Name: secret})
		c.noteStatus(t, err)
	}
}

// noteStatus records the whole status with its details. Each of these calls must fail.
func (c *canary) noteStatus(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("a call with a secret in the wrong place succeeded")
		return
	}
	c.wrote([]byte(fmt.Sprint(err, status.Convert(err).Proto())))
}

// bearing also puts the token into the headers that identify a request.
func bearing(t *testing.T, token string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token, "x-request-id", token, "traceparent", token)
}

// annotation returns an annotation that wraps layerKey for the released key.
func (c *canary) annotation(t *testing.T, l *lab, released []byte) map[string]any {
	t.Helper()
	key, err := jwk.Parse(released)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte(layerKey), nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"kid": "k", "wrapped_data": wrapped, "wrap_type": "rsa_2048", "kms_endpoint": l.vault, "attester_endpoint": l.cloud.AttestationHost(),
	}
}

func keyUnwrap(annotation map[string]any) *keyproviderpb.KeyProviderKeyWrapProtocolInput {
	text, err := json.Marshal(annotation)
	if err != nil {
		panic(err)
	}
	return protocol(`{"op":"keyunwrap","keyunwrapparams":{"dc":null,"annotation":"` + base64.StdEncoding.EncodeToString(text) + `"}}`)
}

func protocol(text string) *keyproviderpb.KeyProviderKeyWrapProtocolInput {
	return &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: []byte(text)}
}
