package emulator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	routeColumns = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	routeInside  = "eth0\t0000590A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	zeros        = "00000000000000000000000000000000"
	route6Inside = "fe800000000000000000000000000000 40 " + zeros + " 00 " + zeros + " 00000100 00000001 00000000 00000001     eth0\n" +
		zeros + " 00 " + zeros + " 00 " + zeros + " ffffffff 00000001 00000000 00200200       lo\n"
)

// TestRouteOut reads the kernel's tables of routes: inside containers of an internal network, and
// with a way out of it.
func TestRouteOut(t *testing.T) {
	for name, c := range map[string]struct{ v4, v6, want string }{
		"internal":             {routeColumns + routeInside, route6Inside, ""},
		"without IPv6":         {routeColumns + routeInside, "", ""},
		"no network":           {routeColumns, route6Inside, ""},
		"default gateway":      {routeColumns + "eth1\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" + routeInside, route6Inside, "eth1"},
		"gateway to a network": {routeColumns + routeInside + "eth0\t000010AC\t0102A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n", route6Inside, "eth0"},
		"tunnel":               {routeColumns + routeInside + "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", route6Inside, "tun0"},
		"IPv6 gateway": {
			routeColumns + routeInside,
			route6Inside + zeros + " 00 " + zeros + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth2\n", "eth2",
		},
		"IPv6 tunnel": {routeColumns, zeros + " 00 " + zeros + " 00 " + zeros + " 00000400 00000001 00000000 00000001     tun6\n", "tun6"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v4, v6 := filepath.Join(dir, "route"), filepath.Join(dir, "ipv6_route")
			if err := os.WriteFile(v4, []byte(c.v4), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.v6 != "" {
				if err := os.WriteFile(v6, []byte(c.v6), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := routeOut(v4, v6); err != nil || got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
	// Systems without these files cannot tell.
	if _, err := routeOut(filepath.Join(t.TempDir(), "absent"), ""); err == nil {
		t.Error("a missing table is no error")
	}
}

// TestInternalNetworkAddress: the option asks for addresses as the default does.
func TestInternalNetworkAddress(t *testing.T) {
	for _, address := range []string{"localhost:0", ":0"} {
		cloud, err := Start(t.Context(), Config{Dir: t.TempDir(), Listen: address, InternalNetwork: true})
		if err == nil {
			_ = cloud.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "must be an IP address and a port") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
