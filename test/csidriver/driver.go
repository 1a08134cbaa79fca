// Package csidriver is the part of the Secrets Store CSI driver that calls a provider, written from
// the protocol and from what the driver does (kubernetes-sigs/secrets-store-csi-driver v1.6.0,
// provider/v1alpha1/service.proto and pkg/secrets-store/provider_client.go). It encodes the messages
// itself and shares no code with skr, so that an error in skr's own definition of the protocol shows.
//
//	driver, err := csidriver.Connect(directory, "skr")
//	versions, err := driver.Mount(ctx, csidriver.Volume{Attributes: attributes, Target: dir})
package csidriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// serviceConfig has the retries of the driver.
const serviceConfig = `{"methodConfig":[{"name":[{"service":"v1alpha1.CSIDriverProvider"}],"waitForReady":true,"retryPolicy":{
	"MaxAttempts":3,"InitialBackoff":"1s","MaxBackoff":"10s","BackoffMultiplier":1.1,"RetryableStatusCodes":["UNAVAILABLE"]}}]}`

const service = "/v1alpha1.CSIDriverProvider/"

var providerName = regexp.MustCompile(`^[a-zA-Z0-9_-]{0,30}$`)

// Driver calls one provider.
type Driver struct{ conn *grpc.ClientConn }

// Connect returns a Driver for the provider's socket in the directory.
func Connect(directory, provider string) (*Driver, error) {
	if !providerName.MatchString(provider) {
		return nil, fmt.Errorf("csidriver: invalid provider %q", provider)
	}
	path := filepath.Join(directory, provider+".sock")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("csidriver: provider not found: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, target string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", target)
		}),
		grpc.WithDefaultServiceConfig(serviceConfig), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(4<<20)),
	)
	if err != nil {
		return nil, fmt.Errorf("csidriver: %w", err)
	}
	return &Driver{conn}, nil
}

// Close closes the connection.
func (d *Driver) Close() error { return d.conn.Close() }

// Version returns the version of the protocol, and the name and version of the provider.
func (d *Driver) Version(ctx context.Context) (protocol, name, version string, err error) {
	var answer []byte
	if err := d.conn.Invoke(ctx, service+"Version", text(nil, 1, "v1alpha1"), &answer); err != nil {
		return "", "", "", err
	}
	err = fields(answer, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			protocol = string(value)
		case 2:
			name = string(value)
		case 3:
			version = string(value)
		}
		return nil
	})
	return protocol, name, version, err
}

// Volume is what a pod mounts.
type Volume struct {
	// Attributes are the parameters of the SecretProviderClass and the attributes of the volume.
	Attributes map[string]string
	// Secrets are sent only if they are not nil, as null otherwise.
	Secrets map[string]string
	// Target is the directory that the files are written to.
	Target string
	// Current are the versions that the volume has.
	Current map[string]string
}

// Mount mounts the volume or renews it, and returns the versions of its objects.
func (d *Driver) Mount(ctx context.Context, v Volume) (map[string]string, error) {
	request, err := v.encode()
	if err != nil {
		return nil, err
	}
	var answer []byte
	if err := d.conn.Invoke(ctx, service+"Mount", request, &answer); err != nil {
		return nil, err
	}
	return v.write(answer)
}

// permission is the mode that the driver sends, 0644.
const permission = "420"

func (v Volume) encode() ([]byte, error) {
	attributes, err := json.Marshal(v.Attributes)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(v.Secrets)
	if err != nil {
		return nil, err
	}
	request := text(nil, 1, string(attributes))
	request = text(request, 2, string(secrets))
	request = text(request, 3, v.Target)
	request = text(request, 4, permission)
	for id, version := range v.Current {
		request = text(request, 5, string(text(text(nil, 1, id), 2, version)))
	}
	return request, nil
}

// write writes the files of an answer, and returns the versions.
func (v Volume) write(answer []byte) (map[string]string, error) {
	versions, files := map[string]string{}, []file{}
	err := fields(answer, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			id, version, err := pair(value)
			versions[id] = version
			return err
		case 2:
			code, _, err := pair(value)
			return errors.Join(fmt.Errorf("csidriver: mount request failed with provider error code %s", code), err)
		case 3:
			f, err := parseFile(value)
			files = append(files, f)
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(versions) == 0:
		return nil, errors.New("csidriver: missing object versions")
	}
	for _, f := range files {
		if err := f.write(v.Target); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

type file struct {
	path     string
	mode     int64
	contents []byte
}

func parseFile(message []byte) (f file, err error) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return f, protowire.ParseError(n)
		}
		message = message[n:]
		var value []byte
		var integer uint64
		if kind == protowire.VarintType {
			integer, n = protowire.ConsumeVarint(message)
		} else {
			value, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			return f, protowire.ParseError(n)
		}
		message = message[n:]
		switch number {
		case 1:
			f.path = string(value)
		case 2:
			f.mode = int64(int32(integer))
		case 3:
			f.contents = value
		}
	}
	return f, nil
}

// write writes the file under the rules of service.proto, at once.
func (f file) write(target string) error {
	if !filepath.IsLocal(f.path) || strings.HasPrefix(f.path, "..") || f.mode < 0 || f.mode > 511 {
		return fmt.Errorf("csidriver: path %q, mode %d", f.path, f.mode)
	}
	path := filepath.Join(target, f.path)
	if err := os.WriteFile(path+".new", f.contents, fs.FileMode(f.mode)|0o200); err != nil {
		return err
	}
	if err := os.Chmod(path+".new", fs.FileMode(f.mode)); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func text(message []byte, number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(message, number, protowire.BytesType), value)
}

// fields calls f with each field of a message that has only strings and messages.
func fields(message []byte, f func(number protowire.Number, value []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if kind != protowire.BytesType {
			return fmt.Errorf("csidriver: field %d has wire type %d", number, kind)
		}
		value, m := protowire.ConsumeBytes(message[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		message = message[n+m:]
		if err := f(number, value); err != nil {
			return err
		}
	}
	return nil
}

func pair(message []byte) (first, second string, err error) {
	err = fields(message, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			first = string(value)
		case 2:
			second = string(value)
		}
		return nil
	})
	return first, second, err
}

// raw is a codec of encoded messages.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	message, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("csidriver: %T is not an encoded message", v)
	}
	return message, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("csidriver: %T is not a message", v)
	}
	*message = append([]byte(nil), data...)
	return nil
}
