package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/check"
	"skr/internal/jose/jws"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/strictjson"
	"skr/keyrelease"
)

const maxAccessToken = 64 << 10

func (e *examination) targetSteps(t Target) []step {
	request := t.Request
	look := func(f func(context.Context, keyrelease.Request) (check.Result, error)) func(context.Context) (check.Result, error) {
		return func(ctx context.Context) (check.Result, error) { return f(ctx, request) }
	}
	if t.InVault {
		return []step{
			{name: identity, subject: t.Name, look: look(e.lookAtIdentity)},
			{name: key, subject: t.Name, needs: []string{identity}, look: look(e.lookAtKeyInVault)},
		}
	}
	return []step{
		{name: identity, subject: t.Name, look: look(e.lookAtIdentity)},
		{name: attestation, subject: t.Name, needs: []string{report}, look: look(e.lookAtAttestation)},
		{name: key, subject: t.Name, needs: []string{identity}, look: look(e.lookAtKey)},
		{name: exportable, subject: t.Name, needs: []string{key}, look: look(e.lookAtExportable)},
		{name: releasePolicy, subject: t.Name, needs: []string{key, exportable, attestation}, look: look(e.lookAtPolicy)},
		{name: release, subject: t.Name, needs: []string{identity, attestation}, after: []string{key, exportable, releasePolicy}, look: look(e.lookAtRelease)},
	}
}

func (e *examination) lookAtIdentity(ctx context.Context, r keyrelease.Request) (check.Result, error) {
	if !r.Access.IsZero() {
		e.access[r.Key.Audience()] = r.Access
		return good("the access token of the request%s", describeToken(r.Access))
	}
	token, err := e.Identity.AccessToken(ctx, r)
	if err != nil {
		return check.Result{}, err
	}
	e.access[r.Key.Audience()] = token
	return good("%s for the audience %s%s", e.IdentityName, r.Key.Audience(), describeToken(token))
}

// describeToken returns the audience and identity of an access token, without verifying
// it. A token of another form has no description.
func describeToken(token secmem.Text) string {
	parsed, err := jws.Parse(token.Reveal(), maxAccessToken)
	if err != nil {
		return ""
	}
	claims, err := strictjson.Parse(parsed.Payload)
	if err != nil {
		return ""
	}
	var text strings.Builder
	for _, claim := range []struct{ name, words string }{{"aud", "audience"}, {"oid", "object id"}, {"appid", "client id"}} {
		if value, ok := claims.Text(claim.name); ok {
			fmt.Fprintf(&text, ", %s %s", claim.words, secmem.Excerpt(value, 80))
		}
	}
	if expires, ok := expiry(claims); ok {
		fmt.Fprintf(&text, ", until %s", expires.UTC().Format(time.RFC3339))
	}
	return text.String()
}

// expiry returns the exp claim (RFC 7519 section 4.1.4).
func expiry(claims strictjson.Object) (time.Time, bool) {
	value, _ := claims.Lookup("exp")
	number, ok := value.(json.Number)
	seconds, err := number.Int64()
	return time.Unix(seconds, 0), ok && err == nil
}

// lookAtAttestation gets a token for evidence over an empty key set. Except for the key, its
// claims are the same as in a release.
func (e *examination) lookAtAttestation(ctx context.Context, r keyrelease.Request) (check.Result, error) {
	result, err := e.Releaser.Token(ctx, r.Authority, []byte(`{"keys":[]}`))
	if err != nil {
		return check.Result{}, err
	}
	e.attestations[r.Authority] = result
	if e.platform.HasTPM() {
		return e.describeGuest(r.Authority, result)
	}
	kind, _ := result.Claims.Text("x-ms-attestation-type")
	compliance, ok := result.Claims.Text("x-ms-compliance-status")
	if !ok {
		return warn("give the utility VM endorsement (reference_info): without it this machine does not meet policies that demand the compliance status",
			"%s vouches for this machine as %q, without a compliance status%s", r.Authority, kind, attest.Sentences(result.Omitted))
	}
	return good("%s vouches for this machine as %q, %q", r.Authority, kind, compliance)
}

func (e *examination) lookAtKey(ctx context.Context, r keyrelease.Request) (check.Result, error) {
	described, err := e.Describer.Describe(ctx, r.Key, e.access[r.Key.Audience()])
	if errors.Is(err, hsm.ErrUnreadable) {
		unreadable := failure(err)
		unreadable.Outcome, unreadable.Fix = check.Skipped, "grant it, if only to find out why a release is refused"
		return unreadable, nil
	}
	if err != nil {
		return check.Result{}, err
	}
	e.keys[r.Key] = described
	return good("%s, %s", described.ID, described.Type)
}

func (e *examination) lookAtExportable(_ context.Context, r keyrelease.Request) (check.Result, error) {
	described := e.keys[r.Key]
	if obstacle := described.Obstacle(); obstacle != "" {
		return fail(refusal.ReleaseRejected, "correct the key, or make another with `skrctl key create`", "%s", obstacle)
	}
	if lapse := described.Lapse(e.Now()); lapse != "" {
		fix := "make a new version with `skrctl key rotate`, or set another time with `skrctl key expire`"
		if e.Now().Before(described.NotBefore) {
			fix = "wait until then if the application encrypts, wraps or signs, or make a new version with `skrctl key rotate`"
		}
		return warn(fix,
			"the key %s; the vault still releases it, and refuses to encrypt, wrap and sign with it", lapse)
	}
	if !described.Immutable {
		return warn("create the key with `skrctl key create --immutable` if its policy must never be weakened",
			"enabled, exportable, with a release policy that can be changed")
	}
	return good("enabled, exportable, with a release policy that cannot be changed")
}

func (e *examination) lookAtPolicy(_ context.Context, r keyrelease.Request) (check.Result, error) {
	_, unmet := keyrelease.Compare(e.keys[r.Key], r.Authority, e.attestations[r.Authority])
	if len(unmet) == 0 {
		return good("this machine meets it")
	}
	var sentences []string
	for _, u := range unmet {
		sentences = append(sentences, keyrelease.Sentence(u))
	}
	return fail(refusal.ReleaseRejected, fixOf(unmet[0]), "not met is: %s", strings.Join(sentences, "; "))
}

// lookAtRelease releases the key and wipes it.
func (e *examination) lookAtRelease(ctx context.Context, r keyrelease.Request) (check.Result, error) {
	released, err := e.Releaser.Release(ctx, r)
	if err != nil {
		return check.Result{}, err
	}
	released.Wipe()
	return good("the vault releases the key to this machine")
}

// lookAtKeyInVault reads a key that its vault uses. It lets the vault use nothing: an operation
// would be one more in the vault's own log.
func (e *examination) lookAtKeyInVault(ctx context.Context, r keyrelease.Request) (check.Result, error) {
	described, err := e.Describer.Describe(ctx, r.Key, e.access[r.Key.Audience()])
	if errors.Is(err, hsm.ErrUnreadable) {
		return fail(refusal.OperationRejected,
			"give it the role Key Vault Crypto User or Managed HSM Crypto User, or the permission keys/get and those of the operations",
			"this identity may not read the key, which in_vault needs")
	}
	if err != nil {
		return check.Result{}, err
	}
	if !described.Enabled {
		return fail(refusal.OperationRejected, "enable the key with `skrctl key enable`", "the key is disabled")
	}
	if lapse := described.Lapse(e.Now()); lapse != "" {
		return warn("make a new version with `skrctl key rotate`", "the key %s; the vault refuses to encrypt, wrap and sign with it", lapse)
	}
	return good("%s, %s; the vault uses it (in_vault), nothing is attested or released", described.ID, described.Type)
}
