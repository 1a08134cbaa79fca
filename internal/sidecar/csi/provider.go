// Package csi is a provider of the Secrets Store CSI driver. It gives the pods of a node keys
// as files of a volume:
//
//	provider := csi.New(csi.Config{Releases: releaser, Resolve: resolve, Identity: identity})
//	err := provider.Serve(ctx, socket)
//
// A SecretProviderClass lists the keys. With each mount, the driver sends a token of the pod's
// service account, which Entra ID exchanges for an access token of the identity that the
// SecretProviderClass names. The vault therefore decides for each pod, although the evidence is
// the node's. Each mount is a release of its own: it attests unless the node's attested key is
// still fresh, asks the vault with the pod's access token, verifies the answer and unwraps the
// key. Nothing that belongs to a pod outlives its request.
//
// The driver writes the files, and mounts again to rotate them. The package reads no device and
// knows no host: its Config connects it to the pipeline.
package csi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/csipb"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

// Config connects a Provider to the release pipeline. All fields except Logger are required.
type Config struct {
	// Releases releases keys. It must not keep them.
	Releases keyrelease.Releases
	// Resolve checks a key against the allow-lists.
	Resolve func(Place) (keyrelease.Request, error)
	// Identity returns the identity of a pod with the token of its service account.
	Identity func(clientID, tenantID string, token secmem.Text) (keyrelease.Identity, error)
	// Auditor records each release.
	Auditor server.Auditor
	// Ready returns why no key can be released yet, or nil.
	Ready func() error
	// Version of the program.
	Version string
	// Deadline of a mount.
	Deadline time.Duration
	// Grace is how long mounts may take after the end of Serve's context.
	Grace time.Duration
	// Logger gets one line for each mount; nil discards them.
	Logger *slog.Logger
}

// Provider answers the driver. It is safe for concurrent use.
type Provider struct {
	csipb.UnsafeCSIDriverProviderServer

	config Config
}

// New returns a Provider. It opens nothing.
func New(c Config) *Provider {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Provider{config: c}
}

// protocol is the version of the protocol.
const protocol = "v1alpha1"

// Version describes the provider.
func (p *Provider) Version(context.Context, *csipb.VersionRequest) (*csipb.VersionResponse, error) {
	return &csipb.VersionResponse{Version: protocol, RuntimeName: "skr", RuntimeVersion: semantic(p.config.Version)}, nil
}

var semver = regexp.MustCompile(`^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-+][0-9A-Za-z.+-]+)?$`)

// semantic returns the version in the form of semantic versioning. A commit becomes the build of 0.0.0.
func semantic(version string) string {
	if semver.MatchString(version) {
		return strings.TrimPrefix(version, "v")
	}
	return "0.0.0+" + cmp.Or(version, "unknown")
}

// Mount returns the files of a pod's volume: all of them, or an error.
func (p *Provider) Mount(ctx context.Context, in *csipb.MountRequest) (*csipb.MountResponse, error) {
	id, begun := rand.Text(), time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.config.Deadline)
	defer cancel()
	ctx, _ = journal.With(ctx, id)
	response := &csipb.MountResponse{}
	v, err := parse(in.GetAttributes(), in.GetSecrets())
	if err == nil {
		ctx = access.With(ctx, access.Pod(v.namespace, v.pod, v.account))
		err = crash.Guard(func() error { return p.fill(ctx, v, response) })
	}
	p.log(ctx, v, id, begun, response, err)
	if err != nil {
		wipe(response)
		return nil, server.StatusOf(err, id)
	}
	return response, nil
}

func (p *Provider) fill(ctx context.Context, v volume, response *csipb.MountResponse) error {
	identity, err := p.config.Identity(v.client, v.tenant, v.token)
	if err != nil {
		return refusal.Because(refusal.BadRequest, "parameters clientID and tenantID name no identity; correct them", err)
	}
	for i := range v.objects {
		if err := p.add(ctx, identity, &v.objects[i], response); err != nil {
			return err
		}
	}
	return nil
}

// add releases the key of one object and adds its file.
func (p *Provider) add(ctx context.Context, identity keyrelease.Identity, o *object, response *csipb.MountResponse) error {
	key, err := p.release(ctx, identity, o)
	if err != nil {
		return err
	}
	defer key.Wipe()
	content, err := o.encode(key)
	if err != nil {
		return err
	}
	response.Files = append(response.Files, &csipb.File{Path: o.Path, Mode: o.mode, Contents: content})
	response.ObjectVersion = append(response.ObjectVersion, &csipb.ObjectVersion{Id: o.Path, Version: key.ID()})
	return nil
}

// release returns no key that the auditor has not recorded.
func (p *Provider) release(ctx context.Context, identity keyrelease.Identity, o *object) (*hsm.Key, error) {
	var key *hsm.Key
	request, err := p.config.Resolve(o.place())
	if err == nil {
		request.Access, err = accessOf(ctx, identity, request)
	}
	if err == nil {
		key, request, err = keyrelease.Anywhere(ctx, p.config.Releases, request)
	}
	if unrecorded := p.config.Auditor.Released(ctx, request, key, err); unrecorded != nil {
		key.Wipe()
		return nil, errors.Join(err, unrecorded)
	}
	return key, err
}

// accessOf returns the pod's access token for the vault. A request without one would be made
// with the identity of the node, and shared with other pods.
func accessOf(ctx context.Context, identity keyrelease.Identity, request keyrelease.Request) (secmem.Text, error) {
	for _, way := range request.Ways() {
		if way.Key.Audience() != request.Key.Audience() {
			return secmem.Text{}, refusal.Newf(refusal.BadRequest,
				"the vaults of one object need access tokens for different audiences; list vaults of one kind and cloud")
		}
	}
	token, err := identity.AccessToken(ctx, request)
	if err == nil && token.IsZero() {
		err = refusal.Newf(refusal.Untrusted, "Microsoft Entra ID answered without an access token")
	}
	return token, err
}

func (p *Provider) log(ctx context.Context, v volume, id string, begun time.Time, response *csipb.MountResponse, err error) {
	level, line := slog.LevelInfo, []slog.Attr{
		slog.String("request_id", id), slog.String("caller", access.From(ctx).String()), slog.String("identity", v.client),
		slog.String("code", server.CodeOf(err)), slog.Int64("duration_ms", time.Since(begun).Milliseconds()),
	}
	for _, object := range response.GetObjectVersion() {
		line = append(line, slog.String("key", object.GetVersion()))
	}
	if err != nil {
		level, line = slog.LevelWarn, append(line, slog.String("error", err.Error()))
	}
	p.config.Logger.LogAttrs(ctx, level, "mount", line...)
}
