// Package snp reads AMD SEV-SNP attestation reports and gets them from the
// machine it runs on.
//
// A report is 1184 bytes that the AMD Secure Processor signs for a guest: what
// was launched (MEASUREMENT), what the host said about it (HOST_DATA), what the
// guest wanted to bind (REPORT_DATA), and on which chip and firmware it runs
// (CHIP_ID, the TCB versions). [Parse] checks the form of those bytes and gives
// a [Report], whose methods are the fields:
//
//	source, err := snp.NewSource("auto")
//	report, err := source.Report(ctx, snp.Bind(runtimeData))
//	fmt.Println(report.Product(), report.ReportedTCB())
//
// A [Source] is where reports come from: the kernel's /dev/sev-guest, its
// configfs-tsm, or a Unix socket behind which another process has one of them.
// There is no source that makes a report up.
//
// A [Report] is well formed, not authentic: nothing here checks its signature.
// Package vcek does, with the certificate that AMD issued for the chip.
//
// Fields and tables are those of AMD publication 56860, "SEV Secure Nested
// Paging Firmware ABI Specification", revision 1.58, unless said otherwise.
package snp
