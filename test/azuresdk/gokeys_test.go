package azuresdk

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

const releasePolicy = `{"version":"1.0.0","anyOf":[{"authority":"https://sharedeus.eus.attest.azure.net",` +
	`"allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`

// keys makes all calls of azkeys.
func (c *goClient) keys(flavour, url string, credential azcore.TokenCredential) error {
	client, err := azkeys.NewClient(url, credential, &azkeys.ClientOptions{
		ClientOptions: policy.ClientOptions{PerCallPolicies: []policy.Policy{c}},
	})
	if err != nil {
		return err
	}
	call := func(name string, run func() error) { c.call("azkeys, "+flavour, name, run) }
	if err := c.make(call, client); err != nil {
		return err
	}
	if err := c.use(call, client, flavour != "Key Vault"); err != nil {
		return err
	}
	c.remove(call, client)
	return nil
}

type caller func(name string, run func() error)

// make creates keys and reads them.
func (c *goClient) make(call caller, client *azkeys.Client) error {
	imported, err := importable()
	if err != nil {
		return err
	}
	call("CreateKey, RSA-HSM with a release policy", func() error {
		_, err := client.CreateKey(c.ctx, "rsa", azkeys.CreateKeyParameters{
			Kty: to.Ptr(azkeys.KeyTypeRSAHSM), KeySize: to.Ptr(int32(2048)), KeyAttributes: &azkeys.KeyAttributes{Exportable: to.Ptr(true)},
			ReleasePolicy: &azkeys.KeyReleasePolicy{EncodedPolicy: []byte(releasePolicy)},
		}, nil)
		return err
	})
	call("CreateKey, EC", func() error {
		_, err := client.CreateKey(c.ctx, "ec", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: to.Ptr(azkeys.CurveNameP256)}, nil)
		return err
	})
	call("CreateKey, oct-HSM", func() error {
		_, err := client.CreateKey(c.ctx, "oct", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeOctHSM), KeySize: to.Ptr(int32(256))}, nil)
		return err
	})
	call("ImportKey", func() error {
		_, err := client.ImportKey(c.ctx, "imported", azkeys.ImportKeyParameters{Key: imported}, nil)
		return err
	})
	call("GetKey", func() error {
		got, err := client.GetKey(c.ctx, "rsa", "", nil)
		return that(err == nil && len(got.ReleasePolicy.EncodedPolicy) > 0, err) // Managed HSM writes it in its own form
	})
	call("GetKeyAttestation", func() error {
		got, err := client.GetKeyAttestation(c.ctx, "rsa", "", nil)
		return that(err == nil && got.Key != nil, err)
	})
	call("UpdateKey", func() error {
		_, err := client.UpdateKey(c.ctx, "rsa", "", azkeys.UpdateKeyParameters{Tags: map[string]*string{"purpose": to.Ptr("test")}}, nil)
		return err
	})
	call("NewListKeyPropertiesPager", func() error {
		page, err := client.NewListKeyPropertiesPager(nil).NextPage(c.ctx)
		return that(len(page.Value) > 2, err)
	})
	return nil
}

// importable returns a private key as ImportKey takes it.
func importable() (*azkeys.JSONWebKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &azkeys.JSONWebKey{
		Kty: to.Ptr(azkeys.KeyTypeRSA), N: key.N.Bytes(), E: big.NewInt(int64(key.E)).Bytes(), D: key.D.Bytes(), P: key.Primes[0].Bytes(),
		Q: key.Primes[1].Bytes(), DP: key.Precomputed.Dp.Bytes(), DQ: key.Precomputed.Dq.Bytes(), QI: key.Precomputed.Qinv.Bytes(),
	}, nil
}

// use rotates, releases, and computes with keys.
func (c *goClient) use(call caller, client *azkeys.Client, hardware bool) error {
	token, err := os.ReadFile(os.Getenv("TOKEN"))
	if err != nil {
		return err
	}
	var attested struct{ Token string }
	if err := json.Unmarshal(token, &attested); err != nil {
		return err
	}
	c.rotate(call, client)
	call("Release", func() error {
		got, err := client.Release(c.ctx, "rsa", "", azkeys.ReleaseParameters{TargetAttestationToken: &attested.Token}, nil)
		return that(err == nil && *got.Value != "", err)
	})
	call("GetRandomBytes", func() error {
		got, err := client.GetRandomBytes(c.ctx, azkeys.GetRandomBytesParameters{Count: to.Ptr(int32(16))}, nil)
		return that(len(got.Value) == 16, err)
	})
	for _, algorithm := range []azkeys.EncryptionAlgorithm{
		azkeys.EncryptionAlgorithmRSA15, azkeys.EncryptionAlgorithmRSAOAEP, azkeys.EncryptionAlgorithmRSAOAEP256,
	} {
		c.seal(call, client, algorithm)
	}
	for _, algorithm := range []azkeys.SignatureAlgorithm{
		azkeys.SignatureAlgorithmRS256, azkeys.SignatureAlgorithmPS256, azkeys.SignatureAlgorithmES256,
	} {
		c.sign(call, client, algorithm)
	}
	if hardware {
		c.symmetric(call, client)
	}
	return nil
}

func (c *goClient) rotate(call caller, client *azkeys.Client) {
	call("RotateKey", func() error { _, err := client.RotateKey(c.ctx, "rsa", nil); return err })
	call("NewListKeyPropertiesVersionsPager", func() error {
		page, err := client.NewListKeyPropertiesVersionsPager("rsa", nil).NextPage(c.ctx)
		return that(len(page.Value) == 2, err)
	})
	call("UpdateKeyRotationPolicy", func() error {
		_, err := client.UpdateKeyRotationPolicy(c.ctx, "rsa", azkeys.KeyRotationPolicy{
			Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P90D")},
			LifetimeActions: []*azkeys.LifetimeAction{{
				Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
				Trigger: &azkeys.LifetimeActionTrigger{TimeBeforeExpiry: to.Ptr("P30D")},
			}},
		}, nil)
		return err
	})
	call("GetKeyRotationPolicy", func() error {
		got, err := client.GetKeyRotationPolicy(c.ctx, "rsa", nil)
		return that(err == nil && *got.Attributes.ExpiryTime == "P90D", err)
	})
}

// seal encrypts and decrypts, wraps and unwraps.
func (c *goClient) seal(call caller, client *azkeys.Client, algorithm azkeys.EncryptionAlgorithm) {
	text := []byte("a message")
	parameters := func(value []byte) azkeys.KeyOperationParameters {
		return azkeys.KeyOperationParameters{Algorithm: &algorithm, Value: value}
	}
	call("Encrypt, Decrypt "+string(algorithm), func() error {
		sealed, err := client.Encrypt(c.ctx, "rsa", "", parameters(text), nil)
		if err != nil {
			return err
		}
		opened, err := client.Decrypt(c.ctx, "rsa", "", parameters(sealed.Result), nil)
		return that(bytes.Equal(opened.Result, text), err)
	})
	call("WrapKey, UnwrapKey "+string(algorithm), func() error {
		sealed, err := client.WrapKey(c.ctx, "rsa", "", parameters(text), nil)
		if err != nil {
			return err
		}
		opened, err := client.UnwrapKey(c.ctx, "rsa", "", parameters(sealed.Result), nil)
		return that(bytes.Equal(opened.Result, text), err)
	})
}

func (c *goClient) sign(call caller, client *azkeys.Client, algorithm azkeys.SignatureAlgorithm) {
	name := map[bool]string{true: "ec", false: "rsa"}[algorithm == azkeys.SignatureAlgorithmES256]
	digest := sha256.Sum256([]byte("a message"))
	call("Sign, Verify "+string(algorithm), func() error {
		signed, err := client.Sign(c.ctx, name, "", azkeys.SignParameters{Algorithm: &algorithm, Value: digest[:]}, nil)
		if err != nil {
			return err
		}
		verified, err := client.Verify(c.ctx, name, "", azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest[:], Signature: signed.Result}, nil)
		return that(err == nil && *verified.Value, err)
	})
}

func (c *goClient) symmetric(call caller, client *azkeys.Client) {
	text, context := []byte("a message"), []byte("context")
	call("Encrypt, Decrypt A256GCM", func() error {
		algorithm := to.Ptr(azkeys.EncryptionAlgorithmA256GCM)
		sealed, err := client.Encrypt(c.ctx, "oct", "", azkeys.KeyOperationParameters{
			Algorithm: algorithm, Value: text, AdditionalAuthenticatedData: context,
		}, nil)
		if err != nil {
			return err
		}
		opened, err := client.Decrypt(c.ctx, "oct", "", azkeys.KeyOperationParameters{
			Algorithm: algorithm, Value: sealed.Result, IV: sealed.IV, AuthenticationTag: sealed.AuthenticationTag, AdditionalAuthenticatedData: context,
		}, nil)
		return that(bytes.Equal(opened.Result, text), err)
	})
}

// remove saves, deletes, recovers, purges and restores a key.
func (c *goClient) remove(call caller, client *azkeys.Client) {
	var saved []byte
	call("BackupKey", func() error {
		got, err := client.BackupKey(c.ctx, "ec", nil)
		saved = got.Value
		return err
	})
	remove := func() error { _, err := client.DeleteKey(c.ctx, "ec", nil); return err }
	call("DeleteKey", remove)
	call("GetDeletedKey", func() error { _, err := client.GetDeletedKey(c.ctx, "ec", nil); return err })
	call("NewListDeletedKeyPropertiesPager", func() error {
		page, err := client.NewListDeletedKeyPropertiesPager(nil).NextPage(c.ctx)
		return that(len(page.Value) == 1, err)
	})
	call("RecoverDeletedKey", func() error { _, err := client.RecoverDeletedKey(c.ctx, "ec", nil); return err })
	call("DeleteKey, again", remove)
	call("PurgeDeletedKey", func() error { _, err := client.PurgeDeletedKey(c.ctx, "ec", nil); return err })
	call("RestoreKey", func() error {
		_, err := client.RestoreKey(c.ctx, azkeys.RestoreKeyParameters{KeyBackup: saved}, nil)
		return err
	})
}
