package snp

import (
	"os"

	"github.com/google/go-sev-guest/client"
)

// openSevGuest names the path itself: the library's default comes from a flag
// that it registers globally. Each call gets a new device, so that the
// library's throttle, which counts per device, never sleeps.
func openSevGuest(path string) (firmwareDevice, error) {
	if err := probe(path); err != nil {
		return nil, err
	}
	d := new(client.LinuxDevice)
	if err := d.Open(path); err != nil {
		return nil, err
	}
	return d, nil
}

// probe says why the device cannot be opened; the library's error hides that
// from errors.Is.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // #nosec G304 -- the driver's fixed path
	if err != nil {
		return err
	}
	return f.Close()
}
