package consumer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"skr/api"
)

// TestKept decrypts with a key that stays in the sidecar: messages that came before it, messages of
// two versions and more than one request takes. The sidecar never releases the key.
func TestKept(t *testing.T) {
	p := startWith(t, "", map[string]string{"SkrClientAlias": "demo"})
	for i := range 3 {
		p.send(t, int32(i), p.encrypt(t, fmt.Sprintf("Msg %d: from partition %d", i+1, i)))
	}
	p.send(t, 1, "not encrypted at all")
	p.send(t, 1, strings.Repeat("A", 512))
	dayOne := p.version(t)
	p.sendVersion(t, p.encrypt(t, "Msg 4: before the rotation"), dayOne)
	p.shows(t, "Decryption is not active", "no sidecar answers at http://"+p.sidecar)
	stop := p.startSidecar(t, p.cloud.Keeping("demo")...)
	p.shows(t, "Decryption is active", "The private key stays in the sidecar", "demo, in the sidecar",
		"Msg 1: from partition 0", "Msg 2: from partition 1", "Msg 3: from partition 2", "Msg 4: before the rotation",
		"<span>it is not standard base64</span>", "<span>it was encrypted for another key, or was modified</span>")

	stop() // what comes meanwhile waits
	p.sendVersion(t, p.encrypt(t, "Msg 5: without a sidecar"), dayOne)
	p.shows(t, "Decryption is not active", "no sidecar answers at http://"+p.sidecar)
	p.rotate(t)
	p.sendVersion(t, p.encrypt(t, "Msg 6: after the rotation"), p.version(t))
	p.startSidecar(t, p.cloud.Keeping("demo")...)
	p.shows(t, "Decryption is active", "Msg 5: without a sidecar", "Msg 6: after the rotation")

	client, err := api.NewClient(api.Config{BaseURL: "http://" + p.sidecar})
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]api.ReleaseRequest{
		"alias": {Alias: "demo"}, "names": {KID: "demo", MAAEndpoint: p.cloud.Authority(), AKVEndpoint: p.cloud.Vault()},
	} {
		_, err = client.ReleaseKey(t.Context(), request)
		if refused, _ := errors.AsType[*api.Error](err); refused == nil || refused.Code != api.CallerNotAllowed {
			t.Errorf("by %s the sidecar releases the key: %v", name, err)
		}
	}
	for _, text := range []string{"released", "from partition"} {
		if strings.Contains(p.log.String(), text) {
			t.Errorf("the log has %q: %s", text, p.log)
		}
	}
}
