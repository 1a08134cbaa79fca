package emulator

import (
	"fmt"
	"slices"
	"sync"

	"skr/test/emulator/entra"
)

// The service account of the emulated AKS cluster that may act as the workload.
const (
	accountNamespace = "default"
	accountName      = "workload"
	clusterIssuer    = "https://oidc.aks.localhost/emulated/"
)

// WorkloadResource is the workload's identity in Azure Resource Manager.
const WorkloadResource = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/emulated/providers/" +
	"Microsoft.ManagedIdentity/userAssignedIdentities/workload"

const (
	caFile    = "ca.pem"
	rootsFile = "amd-roots.pem"
	tokenFile = "federated-token"
)

func (c *Cloud) makeDirectory() (err error) {
	federation := c.config.Federation
	if federation == nil {
		if c.cluster, err = entra.NewCluster(clusterIssuer, c.config.Now); err != nil {
			return err
		}
		trusted := c.cluster.Federation(accountNamespace, accountName)
		federation = &trusted
	}
	c.system = entra.Principal{AppID: entra.GUID(), ObjectID: entra.GUID()}
	c.administrator = entra.Principal{AppID: entra.GUID(), ObjectID: entra.GUID()}
	c.secret = entra.GUID()
	c.credential = sync.OnceValues(c.writeCredential)
	c.directory, err = entra.New(entra.Config{
		Secret:      c.secret,
		Certificate: c.credential,
		Resources:   c.resources(),
		Federation:  *federation,
		Now:         c.clock(ServiceEntra),
	})
	return err
}

// resources returns the audiences of access tokens: the services under
// .localhost and those of the extra hosts.
func (c *Cloud) resources() []string {
	all := []string{c.hosts.url("vault" + localDomain), c.hosts.url("managedhsm" + localDomain), attestationResource, managementResource}
	for _, name := range c.hosts.extra {
		if v, ok := parseHost(name); ok && (v.kind == kindVault || v.kind == kindHSM) {
			all = append(all, c.hosts.url(v.service))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// attestationResource is the audience that the clients of Azure Attestation ask for, whatever the
// name of the instance.
const attestationResource = "https://attest.azure.net"

// managementResource is the audience that the Azure CLI asks for to sign in.
const managementResource = "https://management.core.windows.net"

// CAFile returns the path of the CA's certificate in PEM.
func (c *Cloud) CAFile() string { return c.path(caFile) }

// SystemIdentity returns the system-assigned managed identity of the machines.
func (c *Cloud) SystemIdentity() entra.Principal { return c.system }

// AccessToken returns an access token of the workload for a vault host. A
// caller of the sidecar may send one of its own.
func (c *Cloud) AccessToken(vaultHost string) (string, error) {
	token, err := c.tokenFor(vaultHost, c.directory.Workload())
	return token, err
}

func (c *Cloud) tokenFor(vaultHost string, who entra.Principal) (string, error) {
	v, err := c.vaultHost(vaultHost)
	if err != nil {
		return "", err
	}
	token, err := c.directory.Issue(c.hosts.url(v.service), who)
	if err != nil {
		return "", fmt.Errorf("emulator: making an access token: %w", err)
	}
	return token.Value, nil
}

// PodToken returns the token of a pod's service account in the emulated cluster. Only that of default/workload
// is trusted by an identity.
func (c *Cloud) PodToken(namespace, account, pod, uid string) (string, error) {
	if c.cluster == nil {
		return "", fmt.Errorf("emulator: Config.Federation is set; get the token from its issuer")
	}
	return c.cluster.PodToken(namespace, account, pod, uid)
}

// WorkloadIdentity writes a projected service account token below Config.Dir
// and returns the environment that AKS gives to a pod with workload identity.
func (c *Cloud) WorkloadIdentity() ([]string, error) {
	if c.cluster == nil {
		return nil, fmt.Errorf("emulator: Config.Federation is set; get the token from its issuer")
	}
	path := c.path(tokenFile)
	if err := c.cluster.WriteToken(path, accountNamespace, accountName); err != nil {
		return nil, err
	}
	return append(c.Application(), "AZURE_FEDERATED_TOKEN_FILE="+path), nil
}

// ServicePrincipal returns the environment of the workload's application with
// a client secret.
func (c *Cloud) ServicePrincipal() []string {
	return append(c.Application(), c.Secret())
}

// Secret returns the variable with the client secret of the workload's application.
func (c *Cloud) Secret() string { return "AZURE_CLIENT_SECRET=" + c.secret }

// Application returns the environment of the workload's application without a
// proof of its identity.
func (c *Cloud) Application() []string {
	return []string{
		"AZURE_CLIENT_ID=" + c.directory.Workload().AppID,
		"AZURE_TENANT_ID=" + c.directory.Tenant(),
		"AZURE_AUTHORITY_HOST=" + c.loginURL() + "/",
	}
}
