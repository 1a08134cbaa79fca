package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/swtpm"
)

// onVM replaces the blocks of az in docs/cvm.md, found by a line in them, with commands that
// create the same state on the emulator.
var onVM = []standIn{
	{"az vm create", `
skr-emulator serve --platform $PLATFORM --key demo/another >env.sh & cloud=$!
until grep -qs '^# ready' env.sh; do kill -0 $cloud && sleep 0.1; done
. ./env.sh
export MAA=$MAA_ENDPOINT VAULT=$AKV_ENDPOINT
`},
	{"az role assignment create", ""},
}

// asService runs skr as the units of deploy/vm do, with another configuration.
const asService = `
skr doctor --authority $MAA --vault $VAULT --key orders
args=$(sed -n 's|^ExecStart=/usr/local/bin/skr ||p' $UNITS/skr.service)
[ "$args" ] && [ "$args" = "$(sed -n 's/^Exec=//p' $UNITS/skr.container)" ]
export SKR_LISTEN=unix:$PWD/skr.sock
echo "log_level: warn" >config.yaml
skr $(echo $args | sed "s|/etc/skr|$PWD|") & sidecar=$!
skr healthcheck --wait 30s && echo "the service is ready"
kill $sidecar
`

// TestVirtualMachines follows docs/cvm.md to a released key, on machines of both vendors.
func TestVirtualMachines(t *testing.T) {
	swtpm.Need(t)
	text, err := os.ReadFile(root + "/docs/cvm.md")
	if err != nil {
		t.Fatal(err)
	}
	units, err := filepath.Abs(root + "/deploy/vm")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "bin")
	build(t, bin)
	for platform, kind := range map[string]string{"cvm": "sevsnpvm", "cvm-tdx": "tdxvm"} {
		t.Run(platform, func(t *testing.T) {
			dir := t.TempDir()
			out := runScript(t, dir, "export PATH="+bin+":$PATH PLATFORM="+platform+" UNITS="+units+"\n"+walk(t, string(text), onVM)+asService)
			for _, want := range []string{kind, "azure-compliant-cvm", "  ok       release (", "the service is ready"} {
				if !strings.Contains(out, want) {
					t.Errorf("the walkthrough does not print %s:\n%.6000s", want, out)
				}
			}
			if key, err := os.ReadFile(filepath.Join(dir, "private.pem")); err != nil || !strings.Contains(string(key), "PRIVATE KEY") {
				t.Errorf("no private key was released: %v", err)
			}
		})
	}
}
