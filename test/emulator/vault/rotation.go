package vault

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rotationPolicy is a key's rotation policy. Its JSON form is the one in a
// backup.
type rotationPolicy struct {
	Expiry  string // ISO 8601 duration from creation to expiry, or ""
	Actions []lifetimeAction
	Created int64 // Unix seconds, as is Updated
	Updated int64
}

// lifetimeAction rotates or notifies at one time of a version's life.
type lifetimeAction struct {
	Type         string // "rotate" or "notify", as the client wrote it
	AfterCreate  string // an ISO 8601 duration, or ""
	BeforeExpiry string // likewise
}

func (a lifetimeAction) rotates() bool { return strings.EqualFold(a.Type, "rotate") }

// rotationRequest is the body of an update of a rotation policy.
type rotationRequest struct {
	LifetimeActions []struct {
		Trigger struct {
			TimeAfterCreate  string `json:"timeAfterCreate"`
			TimeBeforeExpiry string `json:"timeBeforeExpiry"`
		} `json:"trigger"`
		Action struct {
			Type string `json:"type"`
		} `json:"action"`
	} `json:"lifetimeActions"`
	Attributes struct {
		ExpiryTime string `json:"expiryTime"`
	} `json:"attributes"`
}

// parse checks the request. The minima are those of "Configure key
// auto-rotation in Azure Key Vault"; the texts of the faults are UNCONFIRMED.
func (r *rotationRequest) parse() (*rotationPolicy, error) {
	p := &rotationPolicy{Expiry: r.Attributes.ExpiryTime}
	if p.Expiry != "" && !longer(p.Expiry, 28) {
		return nil, badParameter("The expiryTime of a rotation policy must be a duration of at least 28 days.")
	}
	for _, a := range r.LifetimeActions {
		action := lifetimeAction{a.Action.Type, a.Trigger.TimeAfterCreate, a.Trigger.TimeBeforeExpiry}
		period := action.AfterCreate + action.BeforeExpiry
		switch {
		case !action.rotates() && !strings.EqualFold(action.Type, "notify"):
			return nil, badParameter("The action type of a rotation policy must be rotate or notify.")
		case action.AfterCreate != "" && action.BeforeExpiry != "" || !longer(period, 7):
			return nil, badParameter("A trigger of a rotation policy must be one duration of at least 7 days.")
		case action.rotates() && action.BeforeExpiry != "" && p.Expiry == "":
			return nil, badParameter("A trigger before expiry needs the expiryTime of the rotation policy.")
		}
		p.Actions = append(p.Actions, action)
	}
	return p, nil
}

// period matches the ISO 8601 durations that the service accepts: years, months
// and days.
var period = regexp.MustCompile(`^P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?$`)

// after adds a duration to a time, or subtracts it if sign is -1.
func after(from time.Time, duration string, sign int) (time.Time, bool) {
	parts := period.FindStringSubmatch(duration)
	if parts == nil || duration == "P" {
		return time.Time{}, false
	}
	var n [3]int
	for i, digits := range parts[1:] {
		n[i], _ = strconv.Atoi(digits) // "" is 0
	}
	return from.AddDate(sign*n[0], sign*n[1], sign*n[2]), true
}

// longer reports whether a duration is valid and has at least that many days.
func longer(duration string, days int) bool {
	var from time.Time
	until, valid := after(from, duration, 1)
	return valid && !until.Before(from.AddDate(0, 0, days))
}

func (v *Vault) getRotationPolicy(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil {
		return answer{}, err
	}
	return ok(v.rotationObject(k))
}

func (v *Vault) putRotationPolicy(c *call) (answer, error) {
	var r rotationRequest
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	p, err := r.parse()
	if err != nil {
		return answer{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil {
		return answer{}, err
	}
	p.Created, p.Updated = v.now(), v.now()
	if k.rotation != nil {
		p.Created = k.rotation.Created
	}
	k.rotation = p
	return ok(v.rotationObject(k))
}

// rotationObject returns the policy as the recordings show it: a vault names
// the types "Rotate" and "Notify" and always has an action of the second kind;
// a Managed HSM repeats the request, and its id has no host. UNCONFIRMED for a
// Managed HSM's key without a policy.
func (v *Vault) rotationObject(k *key) object {
	p := k.rotation
	if p == nil {
		p = new(rotationPolicy)
	}
	id := "keys/" + k.name + "/rotationpolicy"
	if !v.managedHSM() {
		id = v.url(id)
	}
	attributes := object{}
	if p.Expiry != "" {
		attributes = attributes.with("expiryTime", p.Expiry)
	}
	if p.Created != 0 {
		attributes = attributes.with("created", p.Created).with("updated", p.Updated)
	}
	return object{{"id", id}, {"lifetimeActions", v.actionObjects(p.Actions)}, {"attributes", attributes}}
}

func (v *Vault) actionObjects(actions []lifetimeAction) []object {
	notifies := slices.ContainsFunc(actions, func(a lifetimeAction) bool { return !a.rotates() })
	if !v.managedHSM() && !notifies {
		actions = append(slices.Clone(actions), lifetimeAction{Type: "notify", BeforeExpiry: "P30D"})
	}
	objects := []object{}
	for _, a := range actions {
		trigger, name := object{}, a.Type
		if a.AfterCreate != "" {
			trigger = trigger.with("timeAfterCreate", a.AfterCreate)
		}
		if a.BeforeExpiry != "" {
			trigger = trigger.with("timeBeforeExpiry", a.BeforeExpiry)
		}
		if !v.managedHSM() {
			name = strings.ToUpper(name[:1]) + strings.ToLower(name[1:])
		}
		objects = append(objects, object{{"trigger", trigger}, {"action", object{{"type", name}}}})
	}
	return objects
}

func (v *Vault) rotate(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil {
		return answer{}, err
	}
	ver, err := v.rotated(k)
	if err != nil {
		return answer{}, err
	}
	return ok(v.bundle(k, ver))
}

// rotated adds a version with new material of the same kind. Its expiry follows
// from the rotation policy. UNCONFIRMED: that it keeps the tags, the exportable
// attribute and the release policy of the version before. It requires the lock.
func (v *Vault) rotated(k *key) (*version, error) {
	before := k.current()
	m, err := before.material.another()
	if err != nil {
		return nil, err
	}
	now := v.now()
	next := &version{
		id: newVersionID(), material: m, operations: before.operations, enabled: true, created: now, updated: now,
		exportable: before.exportable, policy: before.policy, tags: maps.Clone(before.tags),
	}
	if k.rotation != nil {
		if until, bounded := after(time.Unix(now, 0), k.rotation.Expiry, 1); bounded {
			expires := until.Unix()
			next.expires = &expires
		}
	}
	k.versions = append(k.versions, next)
	return next, nil
}

// rotateDue rotates the keys whose rotation policies say so by now.
func (v *Vault) rotateDue() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.keys {
		if k.rotation == nil || !slices.ContainsFunc(k.rotation.Actions, func(a lifetimeAction) bool { return v.due(a, k.current()) }) {
			continue
		}
		if _, err := v.rotated(k); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) due(a lifetimeAction, ver *version) bool {
	if !a.rotates() {
		return false
	}
	at, bounded := after(time.Unix(ver.created, 0), a.AfterCreate, 1)
	if ver.expires != nil && a.BeforeExpiry != "" {
		at, bounded = after(time.Unix(*ver.expires, 0), a.BeforeExpiry, -1)
	}
	return bounded && at.Unix() <= v.now()
}
