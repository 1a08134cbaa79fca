// Package swtpm is an emulated Azure vTPM: Debian's swtpm, provisioned as the
// firmware of an Azure machine does it, behind a filter that plays the paravisor.
//
//	machine := swtpm.Require(t, swtpm.Config{Chip: chip}) // a confidential machine
//	machine := swtpm.Require(t, swtpm.Config{})           // a Trusted Launch machine
//	t, err := tpm.Open(machine.Address())
//
// The keys, the registers, the user data and the certificate are in the TPM
// itself. The HCL report is not: swtpm has no index of more than 2048 bytes. The
// filter answers for that index. As the paravisor does, it makes the report anew,
// around a report of the emulated chip and with the user data of the moment, when
// the index is read from its beginning and two seconds have passed.
//
// The AK certificate is issued below a root named TEST ONLY that is made at each
// start, or by an [Authority] that several machines share. The event log is of the kind that Hyper-V's firmware writes, and its events
// were extended into the registers.
//
// The filter serves several connections, a command at a time, and does not give each
// its own objects, as the kernel's resource manager would: what a client forgets
// to flush stays, and [Machine.Loaded] shows it.
package swtpm
