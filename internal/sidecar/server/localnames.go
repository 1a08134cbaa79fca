package server

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
)

const maxHosts = 1 << 20 // bytes; the file of a pod has below 1 KiB

// LocalNames returns the names that a hosts file (hosts(5)) gives to loopback addresses,
// in lower case: ip6-localhost, or what hostAliases of a pod add. On the machine that
// has the file no DNS answer can point them elsewhere. It returns none if the file
// cannot be read.
func LocalNames(path string) []string {
	file, err := os.Open(path) //nolint:gosec // the path is the system's
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // it was only read
	return readLocalNames(io.LimitReader(file, maxHosts))
}

func readLocalNames(hosts io.Reader) (names []string) {
	for lines := bufio.NewScanner(hosts); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		if address, err := netip.ParseAddr(fields[0]); err != nil || !address.Unmap().IsLoopback() {
			continue
		}
		for _, name := range fields[1:] {
			if name = strings.ToLower(name); isPlainHost(name) {
				names = append(names, name)
			}
		}
	}
	return names
}
