package maa

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

const machinePrefix = "x-ms-azurevm-"

// ephemeralKeyID is the kid of the TPM's key in a token.
const ephemeralKeyID = "TpmEphemeralEncryptionKey"

// guestClaims returns the payload of an AzureGuest token. The set of claims and
// their types match a real token of 2022.
func (i *Instance) guestClaims(e *guestEvidence) map[string]any {
	c := i.standardClaims("azureguest")
	c["x-ms-attestation-type"] = "azurevm"
	c["secureboot"] = e.secureBoot()
	e.addSystem(c)
	e.addBoot(c)
	e.addRegisters(c, i.config.Claims2025)
	if e.isolation != nil {
		inner := make(map[string]any)
		i.addIsolation(inner, e.isolation)
		c["x-ms-isolation-tee"] = inner
	}
	c["x-ms-runtime"] = e.runtime()
	return c
}

// secureBoot reports whether the log shows secure boot and, on a confidential
// machine, the HCL confirms it. UNCONFIRMED: how the service determines it.
func (e *guestEvidence) secureBoot() bool {
	return e.boot.secureBoot && (e.isolation == nil || e.machine.secureBoot)
}

// vmID returns the identifier in the HCL's claims or, with Trusted Launch, the
// one that the firmware measured in PCR 6; "" if neither has it. UNCONFIRMED:
// the service's source.
func (e *guestEvidence) vmID() string {
	if e.isolation != nil {
		return strings.ToUpper(e.machine.vmID)
	}
	return strings.ToUpper(e.boot.vmID)
}

func (e *guestEvidence) addSystem(c map[string]any) {
	c[machinePrefix+"attestation-protocol-ver"] = protocolVersion
	c[machinePrefix+"is-windows"] = e.system.isWindows()
	c[machinePrefix+"ostype"] = e.system.kind
	c[machinePrefix+"osdistro"] = e.system.distribution
	c[machinePrefix+"osbuild"] = e.system.build
	c[machinePrefix+"osversion-major"] = e.system.major
	c[machinePrefix+"osversion-minor"] = e.system.minor
	if id := e.vmID(); id != "" {
		c[machinePrefix+"vmid"] = id
	}
}

// addBoot adds the claims about the boot. The first few follow secure boot; the
// rest are as in a token of a Linux machine. UNCONFIRMED: which events the
// service uses.
func (e *guestEvidence) addBoot(c map[string]any) {
	for _, name := range []string{"dbvalidated", "dbxvalidated", "debuggersdisabled", "default-securebootkeysvalidated"} {
		c[machinePrefix+name] = e.boot.secureBoot
	}
	for _, name := range []string{
		"bootdebug-enabled", "elam-enabled", "flightsigning-enabled", "hypervisordebug-enabled", "kerneldebug-enabled", "testsigning-enabled",
	} {
		c[machinePrefix+name] = false
	}
	c[machinePrefix+"signingdisabled"] = true
	c[machinePrefix+"hvci-policy"] = 0
}

// addRegisters adds the PCRs. Tokens have had their values since 2025.
func (e *guestEvidence) addRegisters(c map[string]any, values bool) {
	c[machinePrefix+"attested-pcrs"] = e.tpm.pcrSet
	if !values {
		return
	}
	texts := make(map[string]string)
	for _, pcr := range e.tpm.pcrSet {
		value := e.tpm.pcrs[pcr]
		texts[fmt.Sprintf("pcr%d", pcr)] = base64.StdEncoding.EncodeToString(value[:])
	}
	c[machinePrefix+"attested-pcr-values"] = texts
}

// runtime returns the key that a vault wraps to, and the client's payload as it
// was sent. No quote covers the payload.
func (e *guestEvidence) runtime() map[string]any {
	key := e.tpm.key.rsa
	encode := base64.RawURLEncoding.EncodeToString
	runtime := map[string]any{"keys": []any{map[string]any{
		"e":       encode(big.NewInt(int64(key.E)).Bytes()),
		"key_ops": []string{"encrypt"},
		"kid":     ephemeralKeyID,
		"kty":     "RSA",
		"n":       encode(key.N.Bytes()),
	}}}
	if len(e.payload) > 0 {
		runtime["client-payload"] = e.payload
	}
	return runtime
}
