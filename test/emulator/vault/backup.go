package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"

	"skr/internal/jose/jwk"
	"skr/releasepolicy"
)

// backupPrefix begins a vault's backup, as in the recordings. A Managed HSM's
// has no prefix.
const backupPrefix = "&AzureKeyVaultKeyBackupV1.microsoft.com"

// savedKey is the content of a backup: a key with all its versions.
type savedKey struct {
	Name     string
	Rotation *rotationPolicy
	Versions []savedVersion
}

type savedVersion struct {
	ID         string
	Kind       string
	Hardware   bool
	Key        jwk.Key // the private key, or k for a symmetric one
	Operations []string
	Enabled    bool
	NotBefore  *int64
	Expires    *int64
	Created    int64
	Updated    int64
	Exportable bool
	Imported   bool
	Policy     *savedPolicy
	Tags       map[string]string
}

type savedPolicy struct {
	ContentType string
	Immutable   bool
	Rules       []byte
}

func (v *Vault) backup(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil {
		return answer{}, err
	}
	saved := savedKey{Name: k.name, Rotation: k.rotation}
	for _, ver := range k.versions {
		s, err := v.save(ver)
		if err != nil {
			return answer{}, err
		}
		saved.Versions = append(saved.Versions, s)
	}
	sealed, err := v.seal(saved)
	if err != nil {
		return answer{}, err
	}
	return ok(object{{"value", encode64(sealed)}})
}

func (v *Vault) save(ver *version) (savedVersion, error) {
	s := savedVersion{
		ID: ver.id, Kind: ver.material.kind, Hardware: ver.material.hardware, Operations: ver.operations, Enabled: ver.enabled,
		NotBefore: ver.notBefore, Expires: ver.expires, Created: ver.created, Updated: ver.updated, Exportable: ver.exportable,
		Imported: ver.imported, Tags: ver.tags,
	}
	if p := ver.policy; p != nil {
		s.Policy = &savedPolicy{p.contentType, p.immutable, p.rules.Normalised(v.config.Flavour)}
	}
	if ver.material.private == nil {
		s.Key = jwk.Key{Kty: "oct", K: encode64(ver.material.secret)}
		return s, nil
	}
	var err error
	s.Key, err = jwk.FromPrivate(ver.material.private)
	return s, err
}

func (s savedVersion) load() (*version, error) {
	ver := &version{
		id: s.ID, material: material{kind: s.Kind, hardware: s.Hardware}, operations: s.Operations, enabled: s.Enabled,
		notBefore: s.NotBefore, expires: s.Expires, created: s.Created, updated: s.Updated, exportable: s.Exportable,
		imported: s.Imported, tags: s.Tags,
	}
	if s.Policy != nil {
		rules, err := releasepolicy.Parse(s.Policy.Rules)
		if err != nil {
			return nil, err
		}
		ver.policy = &storedPolicy{s.Policy.ContentType, s.Policy.Immutable, rules}
	}
	var err error
	if s.Kind == "oct" {
		ver.material.secret, err = decode64(s.Key.K)
	} else {
		ver.material.private, err = s.Key.PrivateKey()
	}
	return ver, err
}

func (v *Vault) restore(c *call) (answer, error) {
	var r struct {
		Value string `json:"value"`
	}
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	k, err := v.unseal(r.Value)
	if err != nil {
		return answer{}, badParameter("The backup cannot be restored in this vault.") // text UNCONFIRMED
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.nameUsable(k.name) != nil || v.keys[mapKey(k.name)] != nil {
		return answer{}, faultRestoring(v.kidOf(k, k.current()))
	}
	v.keys[mapKey(k.name)] = k
	return ok(v.bundle(k, k.current()))
}

func (v *Vault) sealer() (cipher.AEAD, error) {
	block, err := aes.NewCipher(v.config.BackupKey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (v *Vault) backupPrefix() []byte {
	if v.managedHSM() {
		return nil
	}
	return []byte(backupPrefix)
}

// seal encrypts for the vaults with the same backup key and flavour.
func (v *Vault) seal(saved savedKey) ([]byte, error) {
	plain, err := json.Marshal(saved)
	if err != nil {
		return nil, err
	}
	aead, err := v.sealer()
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(nil, nil, plain, []byte(v.config.Flavour.String()))
	return append(v.backupPrefix(), encode64(sealed)...), nil
}

func (v *Vault) unseal(text string) (*key, error) {
	outer, err := decode64(text)
	if err != nil {
		return nil, err
	}
	inner, found := bytes.CutPrefix(outer, v.backupPrefix())
	sealed, err := decode64(string(inner))
	if err != nil || !found {
		return nil, errors.New("not a backup")
	}
	aead, err := v.sealer()
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(v.config.Flavour.String()))
	if err != nil {
		return nil, err
	}
	var saved savedKey
	if err := json.Unmarshal(plain, &saved); err != nil {
		return nil, err
	}
	return saved.load()
}

func (s savedKey) load() (*key, error) {
	k := &key{name: s.Name, rotation: s.Rotation}
	for _, saved := range s.Versions {
		ver, err := saved.load()
		if err != nil {
			return nil, err
		}
		k.versions = append(k.versions, ver)
	}
	if len(k.versions) == 0 {
		return nil, errors.New("a backup without versions")
	}
	return k, nil
}
