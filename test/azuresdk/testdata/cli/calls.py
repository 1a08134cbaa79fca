# Runs commands of the Azure CLI, unmodified, against the emulated services, and prints a line for
# each: the client, the command, the api-version that it sent, and the result. One process runs them
# all, because the CLI takes seconds to start.
import importlib
import io
import json
import logging
import os
import re
import sys

import azure.cli.command_modules.keyvault
import azure.keyvault
from azure.cli.core import get_default_cli
from azure.keyvault.keys import KeyClient

AUTHORITY = "https://sharedeus.eus.attest.azure.net"
POLICY = {"version": "1.0.0", "anyOf": [{"authority": AUTHORITY, "allOf": [{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}]}]}
environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AZURE_") and name != "AZURE_CONFIG_DIR"}


# Debian's package lacks azure-keyvault 1.1.0, without which no command for keys starts. The CLI has
# a copy of the parts that create, show, import, rotate, encrypt and their like load. What list,
# delete, backup and their like call is not in the copy, so "az rest" makes their requests.
azure.keyvault.__path__.append(azure.cli.command_modules.keyvault.__path__[0] + "/vendored_sdks/azure_keyvault_t1")
for name in ("", ".models", ".key_vault_client"):
    sys.modules["azure.keyvault.v7_0" + name] = importlib.import_module("azure.keyvault.v7_2" + name)
sys.modules["azure.keyvault.v7_0.key_vault_client"].KeyVaultClient.create_key = KeyClient.create_key  # for the help


class Seen(logging.Handler):
    """Keeps the api-version of the last request, which urllib3 logs."""
    version = ""

    def emit(self, record):
        found = re.search(r"api-version=([\w.-]+)", record.getMessage())
        self.version = found.group(1) if found else self.version


seen = Seen()
logging.getLogger("urllib3.connectionpool").addHandler(seen)
logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
logging.getLogger("urllib3.connectionpool").propagate = False


def az(client, name, *arguments, call=None):
    """Runs a command, prints its row, and returns its result."""
    seen.version = ""
    cli, output = get_default_cli(), io.StringIO()
    try:
        status = cli.invoke([*name.split(), *arguments], out_file=output)
        problem = cli.result.error if status else None
    except SystemExit as ended:  # the command line is wrong
        status, problem = ended.code, ended
    result = "ok" if status == 0 else describe(problem)
    if status:
        print(name, arguments, problem, file=sys.stderr)
    print(json.dumps({"client": client, "call": "az " + (call or name), "version": seen.version, "result": result}))
    return cli.result.result if cli.result else None


def describe(problem):
    problem = getattr(problem, "inner_exception", None) or problem
    answer = getattr(problem, "response", None)
    found = re.search(r"\((\w+)\)|\"code\": ?\"(\w+)\"|(AADSTS\d+)", str(problem))
    status = getattr(problem, "status_code", None) or getattr(answer, "status_code", None) or ""
    code = next(filter(None, found.groups())) if found else type(problem).__name__
    return f"{status} {code}".strip()


def sign_in():
    tenant, application = environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"]
    principal = ["--service-principal", "--username", application, "--tenant", tenant, "--allow-no-subscriptions"]
    with open(environment["AZURE_FEDERATED_TOKEN_FILE"], encoding="utf-8") as file:
        az("az", "login", *principal, "--federated-token", file.read(), call="login --service-principal --federated-token")
    az("az", "login", *principal, "--password", environment["AZURE_CLIENT_CERTIFICATE_PATH"], call="login --service-principal --password CERTIFICATE")
    az("az", "login", "--identity", "--username", application, "--allow-no-subscriptions", call="login --identity --username")
    az("az", "login", "--identity", "--allow-no-subscriptions", call="login --identity")
    az("az", "account list")
    az("az", "account get-access-token", "--resource", "https://vault.azure.net")
    az("az", "login", *principal, "--password", environment["AZURE_CLIENT_SECRET"], call="login --service-principal --password SECRET")


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def keys(flavour, vault):
    def run(name, *arguments, detail=""):
        return az("az, " + flavour, "keyvault key " + name, *vault, *arguments, call=f"keyvault key {name}{detail}")

    policy = write("policy.json", json.dumps(POLICY))
    kind = "RSA-HSM" if flavour != "Key Vault" else "RSA"
    released = ["--protection", "hsm"] if flavour == "Key Vault" else []
    run("create", "--name", "rsa", "--kty", "RSA-HSM", "--size", "2048", "--exportable", "true", "--policy", policy, *released,
        detail=" --exportable --policy")
    run("create", "--name", "ec", "--kty", "EC" if flavour == "Key Vault" else "EC-HSM", "--curve", "P-256",
        detail=" --curve P-256")
    run("create", "--name", "wrong", "--kty", kind, "--exportable", "true", detail=" --exportable")
    run("show", "--name", "rsa")
    run("import", "--name", "imported", "--pem-file", os.environ["PRIVATE_KEY"])
    run("set-attributes", "--name", "rsa", "--tags", "purpose=test")
    run("rotate", "--name", "rsa")
    rotation = {"lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Rotate"}}],
                "attributes": {"expiryTime": "P90D"}}
    run("rotation-policy update", "--name", "rsa", "--value", write("rotation.json", json.dumps(rotation)))
    run("rotation-policy show", "--name", "rsa")
    sealed = run("encrypt", "--name", "imported", "--algorithm", "RSA-OAEP-256", "--value", "a message", "--data-type", "plaintext")
    run("decrypt", "--name", "imported", "--algorithm", "RSA-OAEP-256", "--value", (sealed or {}).get("result", "x"), "--data-type", "plaintext")
    resource = "https://vault.azure.net" if flavour == "Key Vault" else "https://managedhsm.azure.net"
    requests("az, " + flavour, resource.replace("://", "://demo."), resource)


def requests(client, url, resource):
    """Makes the requests of az keyvault key list, backup, delete and their like."""
    def rest(method, path, body=None):
        arguments = ["--body", write("body.json", json.dumps(body)).join(("@", ""))] if body else []
        return az(client, f"rest --method {method} --url", url + path + "?api-version=7.0", "--resource", resource, *arguments,
                  call=f"rest --method {method} --url {path}")

    rest("get", "/keys")
    rest("get", "/keys/rsa/versions")
    saved = rest("post", "/keys/ec/backup")
    rest("delete", "/keys/ec")
    rest("get", "/deletedkeys")
    rest("get", "/deletedkeys/ec")
    rest("post", "/deletedkeys/ec/recover")
    rest("delete", "/keys/ec")
    rest("delete", "/deletedkeys/ec")
    rest("post", "/keys/restore", saved)


def others():
    az("az", "keyvault key get-policy-template")
    group = ["--name", "other", "--resource-group", "group", "--location", "eastus"]
    az("az", "keyvault create", *group)
    az("az", "keyvault create", *group, "--enable-rbac-authorization", "true",
       call="keyvault create --enable-rbac-authorization")
    az("az", "keyvault list-deleted")
    for path in ("/policies/SevSnpVm?api-version=2022-08-01", "/certs", "/nothing?api-version=2022-08-01"):
        az("az, attestation", "rest --method get --url", AUTHORITY + path, "--resource", "https://attest.azure.net",
           call="rest --method get --url " + path.partition("?")[0])
    az("az", "logout")


sign_in()
keys("Key Vault", ["--vault-name", "demo"])
az("az, Managed HSM", "keyvault key random", "--hsm-name", "demo", "--count", "16")
keys("Managed HSM", ["--hsm-name", "demo"])
others()
