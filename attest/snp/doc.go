// Package snp parses AMD SEV-SNP attestation reports and requests them from this machine.
//
// A report is 1184 bytes that the AMD Secure Processor signs for a guest. It states
// what was launched (MEASUREMENT), what the host declared (HOST_DATA), what the
// guest bound (REPORT_DATA), and the chip and firmware (CHIP_ID, the TCB versions).
// [Parse] checks the form of those bytes and returns a [Report], whose methods are
// the fields:
//
//	source, err := snp.NewSource("auto")
//	report, err := source.Report(ctx, snp.Bind(runtimeData))
//	fmt.Println(report.Product(), report.ReportedTCB())
//
// A [Source] is where reports come from: the kernel's /dev/sev-guest, its
// configfs-tsm, or a Unix socket of a process that has access to one of them.
//
// A [Report] is well formed but not authenticated: this package does not check its
// signature. Package vcek does, with the certificate that AMD issued for the chip.
//
// Fields and tables refer to AMD publication 56860, "SEV Secure Nested Paging
// Firmware ABI Specification", revision 1.58, unless noted otherwise.
package snp
