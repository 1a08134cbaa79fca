package provision

import (
	"context"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// policyType is the content type of policies (Azure REST API specification,
// KeyReleasePolicy).
const policyType = "application/json; charset=utf-8"

func (r *Request) action() action {
	if r.spec.Material != nil {
		return action{importing, r.spec.ID.Name(), ""}
	}
	return action{creating, r.spec.ID.Name(), ""}
}

// send makes one request, as Azure REST API specification, Key Vault 7.4, CreateKey
// or ImportKey.
func (r *Request) send(ctx context.Context, client *azkeys.Client) (bundle azkeys.KeyBundle, err error) {
	if r.spec.Material == nil {
		answer, err := client.CreateKey(ctx, r.spec.ID.Name(), r.createParameters(), nil)
		return answer.KeyBundle, err
	}
	err = r.withMaterial(func(key *azkeys.JSONWebKey) error {
		answer, err := client.ImportKey(ctx, r.spec.ID.Name(), r.importParameters(key), nil)
		bundle = answer.KeyBundle
		return err
	})
	return bundle, err
}

func (r *Request) createParameters() azkeys.CreateKeyParameters {
	p := azkeys.CreateKeyParameters{
		Kty: new(azkeys.KeyType(r.spec.Type)), KeyOps: r.operations(), KeyAttributes: r.attributes(),
		ReleasePolicy: r.policy(), Tags: r.tags(),
	}
	if r.spec.Size != 0 {
		p.KeySize = new(int32(r.spec.Size)) //nolint:gosec // one of a few sizes
	}
	if r.spec.Curve != "" {
		p.Curve = new(azkeys.CurveName(r.spec.Curve))
	}
	return p
}

func (r *Request) importParameters(key *azkeys.JSONWebKey) azkeys.ImportKeyParameters {
	return azkeys.ImportKeyParameters{
		Key: key, HSM: new(true), KeyAttributes: r.attributes(), ReleasePolicy: r.policy(), Tags: r.tags(),
	}
}

func (r *Request) operations() []*azkeys.KeyOperation {
	operations := make([]*azkeys.KeyOperation, len(r.spec.Operations))
	for i, name := range r.spec.Operations {
		operations[i] = new(azkeys.KeyOperation(name))
	}
	return operations
}

func (r *Request) attributes() *azkeys.KeyAttributes {
	return &azkeys.KeyAttributes{
		Enabled: new(true), Exportable: new(true), NotBefore: unlessZero(r.spec.NotBefore), Expires: unlessZero(r.spec.Expires),
	}
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (r *Request) policy() *azkeys.KeyReleasePolicy {
	return &azkeys.KeyReleasePolicy{
		ContentType: new(policyType), EncodedPolicy: r.spec.Policy.Raw(), Immutable: new(r.spec.Immutable),
	}
}

func (r *Request) tags() map[string]*string {
	if len(r.spec.Tags) == 0 {
		return nil
	}
	tags := make(map[string]*string, len(r.spec.Tags))
	for name, text := range r.spec.Tags {
		tags[name] = &text
	}
	return tags
}
