package config

// machineSettings are where the machine shows what it is.
func machineSettings() []setting {
	return []setting{
		{
			name: "report-source", group: devices, bind: text(func(s *Settings) *string { return &s.ReportSource }, "auto"),
			usage: "auto, sev-guest, configfs-tsm, vtpm, or unix:/path of a report socket",
		},
		{
			name: "tpm", group: devices, bind: text(func(s *Settings) *string { return &s.TPM }, "/dev/tpmrm0"),
			usage: "virtual TPM of an Azure machine: a device, or unix:/path of a TPM command socket",
			check: tpmAddress,
		},
		{
			name: "event-log", group: devices, bind: text(func(s *Settings) *string { return &s.EventLog }, "/sys/kernel/security/tpm0/binary_bios_measurements"),
			usage: "event log of the firmware; may be missing",
			check: absolute(func(s *Settings) string { return s.EventLog }),
		},

		{
			name: "ak-roots", group: tpmRoots, bind: text(func(s *Settings) *string { return &s.AKRoots }, ""),
			usage: "PEM file of authorities for attestation keys, instead of Azure's; for TPMs that are not Azure's",
		},

		{
			name: "security-context-dir", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityContextDir }, ""),
			usage: "directory of the UVM security context; detected if not set",
			check: absolute(func(s *Settings) string { return s.SecurityContextDir }),
		},
		{
			name: "security-policy", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityPolicy }, ""),
			usage: "base64 CCE policy, if the directory has none",
		},
		{
			name: "host-certificate", group: thisMachine, bind: text(func(s *Settings) *string { return &s.HostCertificate }, ""),
			usage: "base64 THIM document of this host, if the directory has none",
		},
		{
			name: "reference-info", group: thisMachine, bind: text(func(s *Settings) *string { return &s.ReferenceInfo }, ""),
			usage: "base64 UVM endorsement, if the directory has none",
		},
	}
}

// endorsementSettings are the sources of AMD's certificates, and its roots.
func endorsementSettings() []setting {
	return []setting{
		{
			name: "certificate-sources", group: certificates, bind: words(func(s *Settings) *List { return &s.CertificateSources }, List{"host", "thim", "kds"}),
			usage: "where certificate chains come from, in order: host, thim, azure-cache, kds",
			check: sources,
		},
		{
			name: "thim-url", group: certificates, bind: text(func(s *Settings) *string { return &s.THIMURL }, ""),
			usage: "certificate cache of the host; detected if not set",
			check: thimAddress,
		},

		{
			name: "imds-url", group: network, bind: text(func(s *Settings) *string { return &s.IMDSURL }, "http://169.254.169.254"),
			usage: "instance metadata service, called without a proxy",
			check: webAddress(func(s *Settings) string { return s.IMDSURL }),
		},

		{
			name: "azure-cache-url", group: certificates,
			bind:  text(func(s *Settings) *string { return &s.AzureCacheURL }, "https://global.acccache.azure.net/SevSnpVM/certificates"),
			usage: "Azure's public certificate cache",
			check: webAddress(func(s *Settings) string { return s.AzureCacheURL }),
		},
		{
			name: "azure-cache-api-version", group: certificates,
			bind:  text(func(s *Settings) *string { return &s.AzureCacheAPIVersion }, "api-version=2020-10-15-preview"),
			usage: "query part for the Azure cache",
		},
		{
			name: "azure-cache-client-id", group: certificates, bind: text(func(s *Settings) *string { return &s.AzureCacheClientID }, ""),
			usage: "query part for the Azure cache, name=value",
		},
		{
			name: "kds-url", group: certificates, bind: text(func(s *Settings) *string { return &s.KDSURL }, "https://kdsintf.amd.com"),
			usage: "AMD's key distribution service",
			check: webAddress(func(s *Settings) string { return s.KDSURL }),
		},
		{
			name: "amd-roots", group: certificates, bind: text(func(s *Settings) *string { return &s.AMDRoots }, ""),
			usage: "PEM file of ARK certificates, instead of AMD's; for silicon that is not AMD's",
		},
	}
}

// intelSettings are the sources of Intel's collateral, and its roots.
func intelSettings() []setting {
	return []setting{
		{
			name: "intel-roots", group: intelTDX, bind: text(func(s *Settings) *string { return &s.IntelRootsFile }, ""),
			usage: "TDX: PEM file of root certificates, instead of Intel's; for silicon that is not Intel's",
			check: intelRoots,
		},
		{
			name: "tcb-status", group: intelTDX, bind: words(func(s *Settings) *List { return &s.TCBStatus }, nil),
			usage: "TDX: TCB statuses to accept, such as UpToDate; requires collateral that is in date; if not set, the status is reported",
			check: tcbStatus,
		},
		{
			name: "collateral-sources", group: intelTDX, bind: words(func(s *Settings) *List { return &s.CollateralSources }, nil),
			usage:      "TDX: where TCB info and revocation lists come from, in order: pccs, pcs, or the absolute path of a file; none if empty",
			check:      collateralSources,
			mayBeEmpty: true,
		},
		{
			name: "pccs-url", group: intelTDX, bind: text(func(s *Settings) *string { return &s.PCCSURL }, "https://global.acccache.azure.net"),
			usage: "TDX: cache of Intel's service: Azure's, a region's such as https://useast.thim.azure.net, or your own",
			check: webAddress(func(s *Settings) string { return s.PCCSURL }),
		},
		{
			name: "pcs-url", group: intelTDX, bind: text(func(s *Settings) *string { return &s.PCSURL }, "https://api.trustedservices.intel.com"),
			usage: "TDX: Intel's provisioning certification service",
			check: webAddress(func(s *Settings) string { return s.PCSURL }),
		},
		{
			name: "intel-root-crl-url", group: intelTDX,
			bind:  text(func(s *Settings) *string { return &s.IntelRootCRLURL }, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"),
			usage: "TDX: revocation list of Intel's root",
			check: webAddress(func(s *Settings) string { return s.IntelRootCRLURL }),
		},
	}
}
