package vault

import (
	"maps"
	"strings"
)

func (v *Vault) create(c *call) (answer, error) {
	var r keyRequest
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	return v.addVersion(c, &r, v.generate)
}

func (v *Vault) importKey(c *call) (answer, error) {
	var r keyRequest
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	return v.addVersion(c, &r, v.imported)
}

// addVersion creates a new version from a request. Slow work, such as key generation
// and requests to authorities, happens without the lock.
func (v *Vault) addVersion(c *call, r *keyRequest, source func(*keyRequest) (material, error)) (answer, error) {
	m, err := source(r)
	if err != nil {
		return answer{}, err
	}
	if err := v.checkExport(r, m); err != nil {
		return answer{}, err
	}
	policy, err := v.policyFrom(c.ctx, r.Policy)
	if err != nil {
		return answer{}, err
	}
	operations, err := operationsFor(r.Operations, m)
	if err != nil {
		return answer{}, err
	}
	return v.store(c.name, &version{
		id: newVersionID(), material: m, operations: operations, policy: policy,
		enabled:   r.Attributes.Enabled == nil || *r.Attributes.Enabled,
		notBefore: r.Attributes.NotBefore, expires: r.Attributes.Expires,
		exportable: r.exportable(), imported: r.Key != nil, tags: r.Tags,
	})
}

func (v *Vault) store(name string, ver *version) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.nameUsable(name); err != nil {
		return answer{}, err
	}
	k := v.keys[mapKey(name)]
	if k == nil {
		k = &key{name: name}
	} else if err := v.checkFrozen(k.current().policy, ver.policy); err != nil {
		return answer{}, err
	}
	ver.created, ver.updated = v.now(), v.now()
	k.versions = append(k.versions, ver)
	v.keys[mapKey(name)] = k
	return ok(v.bundle(k, ver))
}

// mapKey returns the map key of a name: names are case-insensitive.
func mapKey(name string) string { return strings.ToLower(name) }

// find requires the lock.
func (v *Vault) find(name, version string) (*key, *version, error) {
	id := name
	if version != "" {
		id += "/" + version
	}
	k := v.keys[mapKey(name)]
	if k == nil || !v.settled(k.changedAt) {
		return nil, nil, v.faultKeyNotFound(id)
	}
	ver := k.find(version)
	if ver == nil {
		return nil, nil, v.faultKeyNotFound(id)
	}
	return k, ver, nil
}

func (v *Vault) get(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ver, err := v.find(c.name, c.version)
	if err != nil {
		return answer{}, err
	}
	return ok(v.bundle(k, ver))
}

func (v *Vault) update(c *call) (answer, error) {
	var r keyRequest
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	if r.Policy.given() && c.version != "" {
		return answer{}, v.faultRelease(1016, "Key Release Policy can only be set on versionless key")
	}
	policy, err := v.policyFrom(c.ctx, r.Policy)
	if err != nil {
		return answer{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ver, err := v.find(c.name, c.version)
	if err != nil {
		return answer{}, err
	}
	changed, err := v.changed(*ver, &r, policy)
	if err != nil {
		return answer{}, err
	}
	k.replace(changed)
	return ok(v.bundle(k, changed))
}

// changed returns a version after an update.
func (v *Vault) changed(ver version, r *keyRequest, policy *storedPolicy) (*version, error) {
	a := r.Attributes
	if a.Exportable != nil && *a.Exportable != ver.exportable {
		return nil, v.faultRelease(1003, "The exportable attribute of an existing key cannot be changed.") // text UNCONFIRMED
	}
	if policy != nil && !ver.exportable {
		return nil, v.faultRelease(1005, "Non-exportable keys must not have release policy.")
	}
	if err := v.checkFrozen(ver.policy, policy); err != nil {
		return nil, err
	}
	if policy != nil {
		ver.policy = policy
	}
	if len(r.Operations) > 0 {
		operations, err := operationsFor(r.Operations, ver.material)
		if err != nil {
			return nil, err
		}
		ver.operations = operations
	}
	if a.Enabled != nil {
		ver.enabled = *a.Enabled
	}
	if a.NotBefore != nil {
		ver.notBefore = a.NotBefore
	}
	if a.Expires != nil {
		ver.expires = a.Expires
	}
	if r.Tags != nil {
		ver.tags = maps.Clone(r.Tags)
	}
	ver.updated = v.now()
	return &ver, nil
}
