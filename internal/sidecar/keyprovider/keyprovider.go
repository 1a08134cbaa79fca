// Package keyprovider implements ocicrypt's key provider protocol. Tools that encrypt and decrypt
// container images use it to have a service wrap the keys of the layers (containers/ocicrypt,
// docs/keyprovider.md, and keywrap/keyprovider).
//
// A request is a JSON object whose "op" is "keywrap" or "keyunwrap", and the answer is another JSON
// object. Requests encode bytes as base64 or as arrays of numbers; an answer uses the [Form] that the
// client reads. The image contains an [Annotation], in the form of the reference sidecar: the data
// wrapped with RSA-OAEP and SHA-256, and the location of the key that unwraps it:
//
//	wrap, err := keyprovider.ParseWrap(input)
//	annotation, err := info.Wrap(wrap.Data)
//	output := keyprovider.WrapOutput(annotation.Bytes(), keyprovider.Base64)
//
//	unwrap, err := keyprovider.ParseUnwrap(input)
//	// release the key that unwrap.Annotation names, and decrypt with it
//	output := keyprovider.UnwrapOutput(data, keyprovider.Base64)
//
// The annotation comes from the image, so the names in it are as untrusted as a request. The package
// calls no service and holds no private key.
package keyprovider

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/strictjson"
)

const (
	maxInput  = 256 << 10 // bytes; the requests of ocicrypt are below 4 KiB
	maxData   = 64 << 10  // bytes to wrap; RSA wraps far less
	maxString = 512
)

// Wrap is a request to wrap data with the key of that name.
type Wrap struct {
	// Key is the name of a key: the last part of the requested path.
	Key string
	// Data is the secret to wrap.
	Data []byte
}

// Unwrap is a request to unwrap an annotation.
type Unwrap struct{ Annotation *Annotation }

// ParseWrap parses {"op":"keywrap","keywrapparams":{"ec":{"Parameters":{NAME:
// [base64]}},"optsdata":base64}}. The parameter is "skr:PATH/KEY", or just the name of the key if NAME is
// "skr". A member that is null is absent.
func ParseWrap(input []byte) (*Wrap, error) {
	request, err := parseRequest(input, "keywrap")
	if err != nil {
		return nil, err
	}
	data, err := decodeOptions(request, "keywrapparams.optsdata")
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, errors.New("keywrapparams.optsdata is missing or empty")
	}
	key, err := parseParameters(request)
	if err != nil {
		return nil, err
	}
	return &Wrap{key, data}, nil
}

// ParseUnwrap parses {"op":"keyunwrap","keyunwrapparams":{"dc":{…},"annotation":
// base64}}. dc is for other providers.
func ParseUnwrap(input []byte) (*Unwrap, error) {
	request, err := parseRequest(input, "keyunwrap")
	if err != nil {
		return nil, err
	}
	text, err := decode(request, "keyunwrapparams.annotation", maxInput)
	if err != nil {
		return nil, err
	}
	annotation, err := ParseAnnotation(text)
	if err != nil {
		return nil, fmt.Errorf("keyunwrapparams.annotation: %w", err)
	}
	return &Unwrap{annotation}, nil
}

func parseRequest(input []byte, want string) (strictjson.Object, error) {
	if len(input) > maxInput {
		return strictjson.Object{}, fmt.Errorf("the input is longer than %d bytes", maxInput)
	}
	request, err := strictjson.Parse(input)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("the input %w", err)
	}
	if op, _ := request.Text("op"); op != want {
		return strictjson.Object{}, fmt.Errorf("op must be %q", want)
	}
	return request, nil
}

// Names of the provider: that of the reference's clients, and our own.
const (
	referenceProvider = "attestation-agent"
	ownProvider       = "skr"
	scheme            = "skr:"
)

// parseParameters returns the only parameter for this provider.
func parseParameters(request strictjson.Object) (string, error) {
	var names []string
	for _, provider := range []string{referenceProvider, ownProvider} {
		value, ok := request.Lookup("keywrapparams.ec.Parameters." + provider)
		if !ok || value == nil {
			continue
		}
		list, ok := value.([]any)
		if !ok {
			return "", fmt.Errorf("the parameter %q is not a list", provider)
		}
		for _, item := range list {
			name, err := parseParameter(provider, item)
			if err != nil {
				return "", err
			}
			names = append(names, name)
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("exactly one key is needed, but %d are named: --encryption-key provider:skr:KEY, or provider:attestation-agent:skr:PATH/KEY", len(names))
	}
	return names[0], nil
}

// parseParameter returns the name of the key without the path, because the configuration sets the
// directory. The case of the scheme does not matter.
func parseParameter(provider string, item any) (string, error) {
	decoded, err := decodeValue(item, maxString)
	if err != nil {
		return "", fmt.Errorf("the parameter %q %w", provider, err)
	}
	name := string(decoded)
	if len(name) >= len(scheme) && strings.EqualFold(name[:len(scheme)], scheme) {
		name = name[len(scheme):]
	} else if provider != ownProvider {
		return "", fmt.Errorf("the parameter %q must begin with %q", provider, scheme)
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	return name, checkName(name)
}

// WrapOutput returns the answer to a Wrap, for the bytes of an annotation.
func WrapOutput(annotation []byte, form Form) []byte {
	return output("keywrapresults", "annotation", annotation, form)
}

// UnwrapOutput returns the answer to an Unwrap. It contains the data, which is a secret.
func UnwrapOutput(data []byte, form Form) []byte {
	return output("keyunwrapresults", "optsdata", data, form)
}
