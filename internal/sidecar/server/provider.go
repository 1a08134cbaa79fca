package server

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"google.golang.org/grpc/health/grpc_health_v1"

	"skr/api"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/sidecar/keyproviderpb/ocicryptpb"
)

const maxHello = 256 // bytes of a name

// provider answers the methods of the key provider with the pipeline of the routes.
type provider struct {
	keyproviderpb.UnsafeKeyProviderServiceServer
	*Server
}

// WrapKey wraps with a public key of the configured directory. It sends no request.
func (p *provider) WrapKey(_ context.Context, in *keyproviderpb.KeyProviderKeyWrapProtocolInput) (*keyproviderpb.KeyProviderKeyWrapProtocolOutput, error) {
	output, err := p.wrap(in.GetKeyProviderKeyWrapProtocolInput(), keyprovider.Base64)
	return &keyproviderpb.KeyProviderKeyWrapProtocolOutput{KeyProviderKeyWrapProtocolOutput: output}, err
}

// UnWrapKey releases the key that the annotation names and decrypts with it.
func (p *provider) UnWrapKey(ctx context.Context, in *keyproviderpb.KeyProviderKeyWrapProtocolInput) (*keyproviderpb.KeyProviderKeyWrapProtocolOutput, error) {
	output, err := p.unwrap(ctx, in.GetKeyProviderKeyWrapProtocolInput(), keyprovider.Base64)
	return &keyproviderpb.KeyProviderKeyWrapProtocolOutput{KeyProviderKeyWrapProtocolOutput: output}, err
}

func (p *provider) wrap(input []byte, form keyprovider.Form) ([]byte, error) {
	asked, err := keyprovider.ParseWrap(input)
	if err != nil {
		return nil, malformed(err)
	}
	defer secmem.Wipe(asked.Data)
	if unusable := p.config.WrapKeysErr; unusable != nil {
		return nil, refusal.Because(refusal.KeyNotFound, fmt.Sprintf("the directory of wrap_keys cannot be used: %.200s", unusable), unusable)
	}
	if p.config.WrapKeys == nil {
		return nil, refusal.Newf(refusal.KeyNotFound, "there are no keys to wrap with: wrap_keys of the configuration names their directory")
	}
	info, err := p.config.WrapKeys.Find(asked.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refusal.Because(refusal.KeyNotFound,
			"the directory wrap_keys has no information of the key \""+asked.Key+"\"; `skrctl key create` writes it", err)
	}
	if err != nil {
		return nil, refusal.Because(refusal.KeyNotFound, "the information of the key \""+asked.Key+"\" in wrap_keys cannot be used; the log says why", err)
	}
	annotation, err := info.Wrap(asked.Data)
	if err != nil {
		return nil, malformed(err)
	}
	return keyprovider.WrapOutput(annotation.Bytes(), form), nil
}

func (p *provider) unwrap(ctx context.Context, input []byte, form keyprovider.Form) ([]byte, error) {
	asked, err := keyprovider.ParseUnwrap(input)
	if err != nil {
		return nil, malformed(err)
	}
	data, err := p.open(ctx, asked.Annotation)
	if err != nil {
		return nil, err
	}
	defer secmem.Wipe(data)
	return keyprovider.UnwrapOutput(data, form), nil
}

// open releases the key as a request for it would: the annotation is not trusted, because
// it comes from the maker of the image. An annotation without a version was wrapped for the
// version that was the newest then: the versions that the caller's aliases list are tried
// too.
func (p *provider) open(ctx context.Context, a *keyprovider.Annotation) ([]byte, error) {
	data, err := p.openWith(ctx, a, a.Key)
	if err == nil || a.Version() != "" || !errors.Is(err, errOtherKey) {
		return data, err
	}
	for _, version := range p.listedVersions(ctx, a) {
		if data, failed := p.openWith(ctx, a, a.Key+"/"+version); failed == nil {
			return data, nil
		}
	}
	return nil, err
}

// openWith opens the annotation with one version of the key: kid is a name, or name/version.
func (p *provider) openWith(ctx context.Context, a *keyprovider.Annotation, kid string) ([]byte, error) {
	key, err := p.releaseKey(ctx, demand{api.ReleaseRequest{MAAEndpoint: a.Authority, AKVEndpoint: a.Vault, KID: kid}, true, keyuse.UnwrapKey})
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	noteKey(ctx, key.ID())
	opener, err := p.openers.of(ctx, key)
	if err != nil {
		return nil, noDecrypter(err)
	}
	return OpenAnnotation(opener, a)
}

// listedVersions returns the versions that the aliases of the annotation's key list, and
// that the caller may have.
func (p *provider) listedVersions(ctx context.Context, a *keyprovider.Annotation) (versions []string) {
	asked, err := p.parseNames(api.ReleaseRequest{MAAEndpoint: a.Authority, AKVEndpoint: a.Vault, KID: a.Key})
	if err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(p.config.Aliases)) {
		known := p.config.Aliases[name]
		if _, leads := known.Leads(asked); !leads || p.config.Access.MayHave(access.From(ctx), name) != nil {
			continue
		}
		for _, version := range known.Versions().List() {
			if version != "" && !slices.Contains(versions, version) {
				versions = append(versions, version)
			}
		}
	}
	return versions
}

// errOtherKey marks data that the released key does not open.
var errOtherKey = errors.New("wrapped for another key or version")

// OpenAnnotation decrypts with the released key. The caller wipes the data.
func OpenAnnotation(key Opener, a *keyprovider.Annotation) ([]byte, error) {
	data, err := key.DecryptOAEP(crypto.SHA256, a.Wrapped)
	if errors.Is(err, keyuse.ErrAlgorithm) {
		return nil, noDecrypter(err)
	}
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest,
			"the released key does not open the data of the annotation: it was wrapped for another key or version", errors.Join(errOtherKey, err))
	}
	return data, nil
}

func noDecrypter(err error) error {
	return refusal.Because(refusal.BadRequest, "the key that the annotation names cannot decrypt: it is no RSA key", err)
}

func malformed(err error) error { return refusal.Because(refusal.BadRequest, err.Error(), err) }

// GetReport binds the bytes that the hex stands for, or the text itself if it is not hex:
// the reference sidecar accepts any text, also an empty one.
func (p *provider) GetReport(ctx context.Context, in *keyproviderpb.KeyProviderGetReportInput) (*keyproviderpb.KeyProviderGetReportOutput, error) {
	data, err := hex.DecodeString(in.GetReportDataHexString())
	if err != nil {
		data = []byte(in.GetReportDataHexString())
	}
	if err := p.mayAttest(ctx, data); err != nil {
		return nil, err
	}
	evidence, err := p.config.Evidence.Report(ctx, data)
	if err != nil {
		return nil, err
	}
	got := RawResponse(evidence)
	return &keyproviderpb.KeyProviderGetReportOutput{ReportHexString: got.Report, HclReport: got.HCLReport, TdQuote: got.TDQuote}, nil
}

// GetAttestationData is POST /attest/combined, except that runtime data may be empty: the
// field of the message is optional, as in the reference sidecar.
func (p *provider) GetAttestationData(
	ctx context.Context, in *keyproviderpb.KeyProviderGetAttestationDataInput,
) (*keyproviderpb.KeyProviderGetAttestationDataOutput, error) {
	got, err := p.combinedOver(ctx, in.GetB64RuntimeDataString())
	if err != nil {
		return nil, err
	}
	return &keyproviderpb.KeyProviderGetAttestationDataOutput{
		EndorsedTcb: got.EndorsedTCB, Certs: got.Endorsements, AttestationReport: got.Evidence, UvmReferenceInfo: got.UVMEndorsements,
		HclReport: hclReportOf(got), TdQuote: got.TDQuote,
	}, nil
}

func (p *provider) combinedOver(ctx context.Context, runtimeData string) (api.CombinedResponse, error) {
	if runtimeData != "" {
		return p.combined(ctx, api.CombinedRequest{RuntimeData: runtimeData})
	}
	evidence, err := p.config.Evidence.Evidence(ctx, []byte{})
	if err != nil {
		return api.CombinedResponse{}, err
	}
	return CombinedResponse(evidence, p.config.UVMEndorsements), nil
}

func hclReportOf(got api.CombinedResponse) string {
	if got.VirtualTPM == nil {
		return ""
	}
	return got.VirtualTPM.HCLReport
}

// SayHello shows that the service is there.
func (p *provider) SayHello(_ context.Context, in *keyproviderpb.HelloRequest) (*keyproviderpb.HelloReply, error) {
	if len(in.GetName()) > maxHello {
		return nil, refusal.Newf(refusal.BadRequest, "the name is longer than %d bytes", maxHello)
	}
	return &keyproviderpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

// ocicrypt is the service under the name that ocicrypt itself uses. Its answers have bytes
// as arrays of numbers: ocicrypt in Go accepts them like base64, and ocicrypt-rs of Kata
// and Confidential Containers accepts nothing else.
type ocicrypt struct {
	ocicryptpb.UnsafeKeyProviderServiceServer

	provider *provider
}

// WrapKey wraps as the provider does.
func (o ocicrypt) WrapKey(_ context.Context, in *ocicryptpb.KeyProviderKeyWrapProtocolInput) (*ocicryptpb.KeyProviderKeyWrapProtocolOutput, error) {
	output, err := o.provider.wrap(in.GetKeyProviderKeyWrapProtocolInput(), keyprovider.Numbers)
	return &ocicryptpb.KeyProviderKeyWrapProtocolOutput{KeyProviderKeyWrapProtocolOutput: output}, err
}

// UnWrapKey unwraps as the provider does.
func (o ocicrypt) UnWrapKey(ctx context.Context, in *ocicryptpb.KeyProviderKeyWrapProtocolInput) (*ocicryptpb.KeyProviderKeyWrapProtocolOutput, error) {
	output, err := o.provider.unwrap(ctx, in.GetKeyProviderKeyWrapProtocolInput(), keyprovider.Numbers)
	return &ocicryptpb.KeyProviderKeyWrapProtocolOutput{KeyProviderKeyWrapProtocolOutput: output}, err
}

// NewHealth returns the health service of a server that can answer if ready returns nil.
func NewHealth(ready func() error) grpc_health_v1.HealthServer { return health{ready: ready} }

// health reports what GET /status reports.
type health struct {
	grpc_health_v1.UnimplementedHealthServer

	ready func() error
}

// Check has the same answer for every service: they are ready together.
func (h health) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if h.ready() != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return &grpc_health_v1.HealthCheckResponse{Status: status}, nil
}
