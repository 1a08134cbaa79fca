package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
)

// tokenLife is how long a token is valid, in seconds.
const tokenLife = 28800

// standardClaims are the claims of every token.
const standardClaims = "exp:int iat:int nbf:int iss:string jti:string nonce:string x-ms-attestation-type:string " +
	"x-ms-compliance-status?:string x-ms-policy-hash:b64(32) x-ms-runtime?:object x-ms-ver:string "

// snpClaims are the claims of every token of an SEV-SNP machine.
const snpClaims = standardClaims + "x-ms-sevsnpvm-authorkeydigest:string " +
	"x-ms-sevsnpvm-bootloader-svn:int x-ms-sevsnpvm-familyId:string x-ms-sevsnpvm-guestsvn:int x-ms-sevsnpvm-hostdata:string " +
	"x-ms-sevsnpvm-idkeydigest:string x-ms-sevsnpvm-imageId:string x-ms-sevsnpvm-is-debuggable:bool " +
	"x-ms-sevsnpvm-launchmeasurement:string x-ms-sevsnpvm-microcode-svn:int x-ms-sevsnpvm-migration-allowed:bool " +
	"x-ms-sevsnpvm-reportdata:string x-ms-sevsnpvm-reportid:string x-ms-sevsnpvm-smt-allowed:bool x-ms-sevsnpvm-snpfw-svn:int " +
	"x-ms-sevsnpvm-tee-svn:int x-ms-sevsnpvm-vmpl:int " +
	"x-ms-sevsnpvm-uvm-endorsement?:object x-ms-sevsnpvm-uvm-endorsement-headers?:object"

// tdxClaims are the claims of every token of a machine with TDX (Azure documentation,
// articles/attestation/trust-domain-extensions-eat-profile).
const tdxClaims = standardClaims + "eat_profile:string intuse:string dbgstat:string attester_tcb_status?:string tdx_mrtd:string " +
	"tdx_mrconfigid:string tdx_mrowner:string tdx_mrownerconfig:string tdx_mrseam:string tdx_mrsignerseam:string " +
	"tdx_rtmr0:string tdx_rtmr1:string tdx_rtmr2:string tdx_rtmr3:string tdx_seamsvn:int tdx_tee_tcb_svn:string tdx_report_data:string " +
	"tdx_seam_attributes:string tdx_td_attributes:string tdx_xfam:string tdx_td_attributes_debug:bool " +
	"tdx_td_attributes_key_locker:bool tdx_td_attributes_perfmon:bool tdx_td_attributes_protection_keys:bool tdx_td_attributes_septve_disable:bool"

func tokenClaims(p *probe) error {
	p.expect(p.s.machine.shape)
	p.expect("valid for 28800 s from now; iss is the host; the nonce of the request as text; names in ascending order")
	parts, at, err := p.tokenAt(p.s.machine.request(base64.RawURLEncoding, json.Number(largeNonce), nil))
	if err != nil {
		return err
	}
	claims := parseJSON(parts[1])
	p.exchanges[len(p.exchanges)-1].Shape = shapeOf(claims)
	found := compareMembers(claims, p.s.machine.shape)
	for path, value := range map[string]string{
		"x-ms-attestation-type": p.s.machine.attested, "x-ms-ver": "1.0", "nonce": largeNonce, "iss": "https://" + p.s.host,
	} {
		if valueAt(claims, path) != value {
			found = append(found, path+" is another")
		}
	}
	return foundOrNil(append(found, compareForm(parts[1], claims, p.s.machine, at)...))
}

// maxLag is how far the time in a token may be from the time of the answer.
const maxLag = 10 * time.Minute

// compareForm compares times, the runtime data and the order of members.
func compareForm(text []byte, claims any, m *machine, at time.Time) (found []string) {
	members, _ := claims.(map[string]any)
	issued, _ := members["iat"].(float64)
	if at.Sub(time.Unix(int64(issued), 0)).Abs() > maxLag {
		found = append(found, "iat is not the time of the answer")
	}
	if starts, _ := members["nbf"].(float64); starts != issued {
		found = append(found, "nbf is not iat")
	}
	if ends, _ := members["exp"].(float64); ends-issued != tokenLife {
		found = append(found, "exp is not iat and 28800")
	}
	if sorted, _ := json.Marshal(claims); len(sorted) != len(text) || !bytes.Equal(names(sorted), names(text)) {
		found = append(found, "the members are not in ascending order without white space")
	}
	if m.runtime != nil && len(lookup(claims, "x-ms-runtime")) == 0 {
		found = append(found, "x-ms-runtime is missing")
	}
	return found
}

// names returns the names of members in their order. Numbers may be spelled differently.
func names(text []byte) (all []byte) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if err != nil {
			return all
		}
		if name, is := token.(string); is {
			all = append(append(all, name...), 0)
		}
	}
}
