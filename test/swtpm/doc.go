// Package swtpm emulates an Azure vTPM: Debian's swtpm, provisioned as the
// firmware of an Azure machine does it, behind a filter that acts as the
// paravisor.
//
//	machine := swtpm.Require(t, swtpm.Config{Chip: chip})         // a confidential machine with SEV-SNP
//	machine := swtpm.Require(t, swtpm.Config{TDReport: makeReport}) // and one with Intel TDX
//	machine := swtpm.Require(t, swtpm.Config{})                   // a Trusted Launch machine
//	t, err := tpm.Open(machine.Address())
//
// The keys, the registers, the user data and the certificate are in the TPM
// itself. The HCL report is not, because swtpm's indexes hold at most 2048
// bytes; the filter answers for that index. As the paravisor does, it renews
// the report when the index is read from its beginning and two seconds have
// passed. The new report contains a report of the emulated processor and the
// current user data.
//
// The AK certificate leads to a root named TEST ONLY, which is created at each
// start or belongs to an [Authority] that several machines share. The event log
// has the form that Hyper-V's firmware writes, and its events are extended into
// the registers.
//
// The filter serves several connections, one command at a time. Unlike the
// kernel's resource manager it does not separate their objects: an object that
// a client does not flush remains, and [Machine.Loaded] counts it.
package swtpm
