package vault

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"skr/releasepolicy"
)

// defaultPolicyType is the contentType of a policy that has none.
const defaultPolicyType = "application/json; charset=utf-8"

// key is a name with its versions, newest last. A deleted key has a deletion
// date.
type key struct {
	name      string
	versions  []*version
	rotation  *rotationPolicy // nil means the service's default
	deletedAt int64           // Unix seconds; 0 while the key is present
	changedAt time.Time       // when the deletion or recovery began
}

// version is one version of a key. Its material never changes. Changes to the
// rest replace the whole value under the vault's mutex.
type version struct {
	id         string // 32 hex digits
	material   material
	operations []string
	enabled    bool
	notBefore  *int64 // Unix seconds, like the next four
	expires    *int64
	created    int64
	updated    int64
	exportable bool
	imported   bool          // and not generated in the vault
	policy     *storedPolicy // nil if and only if not exportable
	tags       map[string]string
}

// storedPolicy is a release policy as the service stores it.
type storedPolicy struct {
	contentType string
	immutable   bool
	rules       *releasepolicy.Policy
}

func newVersionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (k *key) current() *version { return k.versions[len(k.versions)-1] }

// find returns the version with that id; "" means the current one.
func (k *key) find(id string) *version {
	if id == "" {
		return k.current()
	}
	for _, v := range k.versions {
		if strings.EqualFold(v.id, id) {
			return v
		}
	}
	return nil
}

// replace replaces the version with the same id.
func (k *key) replace(changed *version) {
	i := slices.IndexFunc(k.versions, func(v *version) bool { return v.id == changed.id })
	k.versions[i] = changed
}

func (v *Vault) url(path string) string { return "https://" + v.config.Host + "/" + path }

func (v *Vault) kidOf(k *key, ver *version) string {
	return v.url("keys/" + k.name + "/" + ver.id)
}

// bundle returns the KeyBundle of a version.
func (v *Vault) bundle(k *key, ver *version) object {
	o := object{{"key", v.publicJWK(k, ver)}, {"attributes", v.attributes(ver)}}
	if ver.policy != nil {
		o = o.with("release_policy", v.policyObject(ver.policy))
	}
	return ver.withTags(o)
}

func (ver *version) withTags(o object) object {
	if ver.tags == nil {
		return o
	}
	return o.with("tags", tagsObject(ver.tags))
}

func tagsObject(tags map[string]string) object {
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		o = o.with(name, tags[name])
	}
	return o
}

func (v *Vault) publicJWK(k *key, ver *version) object {
	o := object{{"kid", v.kidOf(k, ver)}, {"kty", ver.material.kty()}, {"key_ops", v.order(ver.operations)}}
	return append(o, ver.material.public()...)
}

// order returns the order of key_ops in one answer: Managed HSM's varies
// between answers.
func (v *Vault) order(operations []string) []string {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails
	if v.managedHSM() && b[0]&1 == 1 {
		operations = slices.Clone(operations)
		slices.Reverse(operations)
	}
	return operations
}

func (v *Vault) attributes(ver *version) object {
	o := object{{"enabled", ver.enabled}}
	if ver.notBefore != nil {
		o = o.with("nbf", *ver.notBefore)
	}
	if ver.expires != nil {
		o = o.with("exp", *ver.expires)
	}
	return append(o, object{
		{"created", ver.created}, {"updated", ver.updated},
		{"recoveryLevel", v.recoveryLevel()}, {"recoverableDays", v.config.RecoverableDays},
		{"exportable", ver.exportable},
	}...)
}

// policyObject returns the policy in a bundle. UNCONFIRMED for the answer of
// create, whose recordings were sanitised: the stored form is known from
// release statements.
func (v *Vault) policyObject(p *storedPolicy) object {
	return object{
		{"contentType", p.contentType},
		{"data", encode64(p.rules.Normalised(v.config.Flavour))},
		{"immutable", p.immutable},
	}
}

// deletedBundle returns the DeletedKeyBundle of a key's current version. In the
// recordings, the vault omits the policy and the Managed HSM includes it.
func (v *Vault) deletedBundle(k *key) object {
	ver := k.current()
	o := v.deletion(k).with("key", v.publicJWK(k, ver)).with("attributes", v.attributes(ver))
	if ver.policy != nil && v.managedHSM() {
		o = o.with("release_policy", v.policyObject(ver.policy))
	}
	return ver.withTags(o)
}

func (v *Vault) deletion(k *key) object {
	return object{
		{"recoveryId", v.url("deletedkeys/" + k.name)},
		{"deletedDate", k.deletedAt},
		{"scheduledPurgeDate", v.purgeAt(k)},
	}
}
