# Calls the emulated services with Azure's own clients, unmodified, and prints a line for each call:
# the client, the call, the api-version that it sent, and the result.
import datetime
import hashlib
import json
import os
import sys
from urllib.parse import parse_qs, urlparse

from azure import identity
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.administration import KeyVaultAccessControlClient
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyReleasePolicy, KeyRotationLifetimeAction, KeyRotationPolicy
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.security.attestation import AttestationAdministrationClient, AttestationClient, AttestationType
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

VAULT, HSM, AUTHORITY = "https://demo.vault.azure.net", "https://demo.managedhsm.azure.net", "https://sharedeus.eus.attest.azure.net"
POLICY = {"version": "1.0.0", "anyOf": [{"authority": AUTHORITY, "allOf": [{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}]}]}
environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AZURE_")}
tenant, client_id = environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"]
version, path = "", ""


class Seen(RequestsTransport):
    def send(self, request, **kwargs):
        global version, path
        url = urlparse(request.url)
        version, path = parse_qs(url.query).get("api-version", [version])[0], url.path
        return super().send(request, **kwargs)


def call(client, name, run):
    global version, path
    version, path, result, value = "", "", "ok", None
    try:
        value = run()
        if value is False or value is None:
            result = f"returned {value}"
    except HttpResponseError as problem:
        code = getattr(problem.error, "code", None) or (getattr(problem, "model", None) and problem.model.error.code)
        result = f"{problem.status_code} {code or type(problem).__name__}"
        print(client, name, problem, file=sys.stderr)
    except Exception as problem:
        result = type(problem).__name__
        print(client, name, problem, file=sys.stderr)
    print(json.dumps({"client": client, "call": name, "version": version, "result": result}))
    return value


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def with_environment(values, make):
    os.environ.update(values)
    try:
        return make()
    finally:
        for name in values:
            del os.environ[name]


def credentials():
    def run(name, make, **values):
        call("azure-identity", name, lambda: with_environment(
            values, lambda: len(make().get_token("https://vault.azure.net/.default").token) > 0))

    names = {"AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client_id}
    secret, assertion = environment["AZURE_CLIENT_SECRET"], environment["AZURE_FEDERATED_TOKEN_FILE"]
    certificate = environment["AZURE_CLIENT_CERTIFICATE_PATH"]
    host = {"AZURE_AUTHORITY_HOST": environment["AZURE_AUTHORITY_HOST"]}
    managed = identity.ManagedIdentityCredential
    run("ManagedIdentityCredential", managed)
    run("ManagedIdentityCredential, client_id", lambda: managed(client_id=client_id))
    run("ManagedIdentityCredential, object_id", lambda: managed(identity_config={"object_id": os.environ["OBJECT_ID"]}))
    run("ManagedIdentityCredential, mi_res_id", lambda: managed(identity_config={"mi_res_id": os.environ["RESOURCE_ID"]}))
    run("ManagedIdentityCredential, workload identity", managed, **names, **host, AZURE_FEDERATED_TOKEN_FILE=assertion)
    run("ClientSecretCredential", lambda: identity.ClientSecretCredential(tenant, client_id, secret))
    run("ClientAssertionCredential", lambda: identity.ClientAssertionCredential(tenant, client_id, lambda: read(assertion)))
    run("CertificateCredential", lambda: identity.CertificateCredential(tenant, client_id, certificate))
    run("EnvironmentCredential, secret", identity.EnvironmentCredential, **names, AZURE_CLIENT_SECRET=secret)
    run("EnvironmentCredential, certificate", identity.EnvironmentCredential, **names, AZURE_CLIENT_CERTIFICATE_PATH=certificate)
    run("DefaultAzureCredential, managed identity", identity.DefaultAzureCredential)
    run("DefaultAzureCredential, environment", identity.DefaultAzureCredential, **names, AZURE_CLIENT_SECRET=secret)
    run("DefaultAzureCredential, workload identity", identity.DefaultAzureCredential, **names, **host, AZURE_FEDERATED_TOKEN_FILE=assertion)


def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    numbers = {"n": key.public_numbers.n, "e": key.public_numbers.e, "d": key.d, "p": key.p, "q": key.q,
               "dp": key.dmp1, "dq": key.dmq1, "qi": key.iqmp}
    return JsonWebKey(kty="RSA", key_ops=["sign", "verify"],
                      **{name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in numbers.items()})


def keys(flavour, url, credential):
    client = KeyClient(url, credential, transport=Seen())

    def run(name, make):
        return call(f"azure-keyvault-keys, {flavour}", name, make)

    policy = KeyReleasePolicy(json.dumps(POLICY).encode())
    run("create_rsa_key", lambda: client.create_rsa_key("rsa", size=2048, hardware_protected=True, exportable=True, release_policy=policy))
    run("create_rsa_key, exponent 3", lambda: client.create_rsa_key("three", public_exponent=3))
    run("create_ec_key, P-256K", lambda: client.create_ec_key("ec", curve="P-256K"))
    run("create_oct_key", lambda: client.create_oct_key("oct", size=256, hardware_protected=flavour != "Key Vault"))
    run("create_okp_key", lambda: client.create_okp_key("okp"))
    run("import_key", lambda: client.import_key("imported", private_key()))
    run("get_key", lambda: client.get_key("rsa"))
    run("list_properties_of_keys", lambda: any(client.list_properties_of_keys()))
    run("update_key_properties", lambda: client.update_key_properties("rsa", tags={"purpose": "test"}))
    run("rotate_key", lambda: client.rotate_key("rsa"))
    run("list_properties_of_key_versions", lambda: len(list(client.list_properties_of_key_versions("rsa"))) == 2)
    action = KeyRotationLifetimeAction("Rotate", time_before_expiry="P30D")
    run("update_key_rotation_policy", lambda: client.update_key_rotation_policy(
        "rsa", KeyRotationPolicy(), expires_in="P90D", lifetime_actions=[action]))
    run("get_key_rotation_policy", lambda: client.get_key_rotation_policy("rsa").expires_in == "P90D")
    token = json.loads(read(os.environ["TOKEN"]))["token"]
    run("release_key", lambda: len(client.release_key("rsa", token).value) > 0)
    run("get_random_bytes", lambda: len(client.get_random_bytes(16)) == 16)
    backup = run("backup_key", lambda: client.backup_key("ec"))
    run("begin_delete_key", lambda: client.begin_delete_key("ec").result())
    run("get_deleted_key", lambda: client.get_deleted_key("ec"))
    run("list_deleted_keys", lambda: any(client.list_deleted_keys()))
    run("begin_recover_deleted_key", lambda: client.begin_recover_deleted_key("ec").result())
    client.begin_delete_key("ec").result()
    run("purge_deleted_key", lambda: client.purge_deleted_key("ec") is None)
    run("restore_key_backup", lambda: client.restore_key_backup(backup))
    cryptography(flavour, client, credential)


def cryptography(flavour, client, credential):
    def remote(name):  # the vault uses the private part, and the client, once it has asked for it, the public part
        return CryptographyClient(client.get_key(name).id, credential, transport=Seen())

    def local(name):
        return CryptographyClient.from_jwk(client.get_key(name).key)

    text, session = b"a message", bytes([7] * 32)
    run = lambda name, make: call(f"CryptographyClient, {flavour}", name, make)
    for name in ("RSA1_5", "RSA-OAEP", "RSA-OAEP-256"):
        algorithm, wrapping = EncryptionAlgorithm(name), KeyWrapAlgorithm(name)
        run(f"encrypt, decrypt {name}", lambda: remote("rsa").decrypt(
            algorithm, remote("rsa").encrypt(algorithm, text).ciphertext).plaintext == text)
        run(f"wrap_key, unwrap_key {name}", lambda: remote("rsa").unwrap_key(
            wrapping, remote("rsa").wrap_key(wrapping, session).encrypted_key).key == session)
        run(f"encrypt locally, decrypt {name}", lambda: remote("rsa").decrypt(
            algorithm, local("rsa").encrypt(algorithm, text).ciphertext).plaintext == text)
    for name, text_of in (("rsa", "RS256"), ("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"), ("ec", "ES256K")):
        algorithm, digest = SignatureAlgorithm(text_of), hashlib.new("sha" + text_of[2:5], text).digest()
        run(f"sign, verify {text_of}", lambda: remote(name).verify(
            algorithm, digest, remote(name).sign(algorithm, digest).signature).is_valid)
        run(f"sign, verify locally {text_of}", lambda: local(name).verify(
            algorithm, digest, remote(name).sign(algorithm, digest).signature).is_valid)
    if flavour != "Key Vault":
        symmetric(remote("oct"), run, text, session)


def symmetric(client, run, text, session):
    def authenticated():
        sealed = client.encrypt(EncryptionAlgorithm.a256_gcm, text, additional_authenticated_data=b"context")
        return client.decrypt(EncryptionAlgorithm.a256_gcm, sealed.ciphertext, iv=sealed.iv, authentication_tag=sealed.tag,
                              additional_authenticated_data=b"context").plaintext == text

    def padded():
        sealed = client.encrypt(EncryptionAlgorithm.a256_cbcpad, text, iv=bytes(16))
        return client.decrypt(EncryptionAlgorithm.a256_cbcpad, sealed.ciphertext, iv=bytes(16)).plaintext == text and path.endswith("/decrypt")

    def wrapped():
        sealed = client.wrap_key(KeyWrapAlgorithm.aes_256, session)
        return client.unwrap_key(KeyWrapAlgorithm.aes_256, sealed.encrypted_key).key == session and path.endswith("/unwrapkey")

    run("encrypt, decrypt A256GCM", lambda: authenticated() and path.endswith("/decrypt"))
    run("encrypt, decrypt A256CBCPAD", padded)
    run("wrap_key, unwrap_key A256KW", wrapped)


def administration(credential):
    client = KeyVaultAccessControlClient(HSM, credential, transport=Seen())
    run = lambda name, make: call("azure-keyvault-administration", name, make)
    run("list_role_definitions", lambda: any(client.list_role_definitions("/")))
    run("list_role_assignments", lambda: any(client.list_role_assignments("/")))


def attestation(credential):
    client = AttestationClient(AUTHORITY, credential, transport=Seen())
    administrator = AttestationAdministrationClient(AUTHORITY, credential, transport=Seen())
    run = lambda name, make: call("azure-security-attestation", name, make)
    permit, deny = ("version= 1.0;authorizationrules{=> %s();};" % rule for rule in ("permit", "deny"))
    kind = AttestationType.OPEN_ENCLAVE

    def policy():
        return administrator.get_policy(kind)[0]

    run("get_open_id_metadata", lambda: client.get_open_id_metadata()["issuer"] == AUTHORITY)
    run("get_signing_certificates", lambda: len(client.get_signing_certificates()) > 0)
    run("get_policy", lambda: policy() == permit)
    run("set_policy", lambda: administrator.set_policy(kind, deny)[0].policy_resolution == "Updated")
    run("get_policy, after set_policy", lambda: policy() == deny)
    run("reset_policy", lambda: administrator.reset_policy(kind)[0].policy_resolution == "Removed")
    signed = {"signing_key": read(os.environ["POLICY"] + ".key"), "signing_certificate": read(os.environ["POLICY"] + ".pem")}
    run("set_policy, signed", lambda: administrator.set_policy(kind, deny, **signed)[0].policy_resolution == "Updated")
    run("get_policy, after set_policy, signed", lambda: policy() == deny)
    run("reset_policy, signed", lambda: administrator.reset_policy(kind, **signed)[0].policy_resolution == "Removed")
    run("get_policy, after reset_policy", lambda: policy() == permit)
    run("get_policy_management_certificates", lambda: administrator.get_policy_management_certificates()[0] == [])
    another = certificate()
    run("add_policy_management_certificate", lambda: administrator.add_policy_management_certificate(another, **signed))
    run("remove_policy_management_certificate", lambda: administrator.remove_policy_management_certificate(another, **signed))
    run("attest_sgx_enclave", lambda: client.attest_sgx_enclave(b"no quote"))
    run("attest_open_enclave", lambda: client.attest_open_enclave(b"no report"))
    run("attest_tpm", lambda: client.attest_tpm('{"payload":{"type":"aikcert"}}'))


def isolated(credential):
    """Calls the authority that accepts only policies which a certificate of its own signs."""
    administrator = AttestationAdministrationClient(AUTHORITY.replace("sharedeus", "isolated"), credential, transport=Seen())
    run = lambda name, make: call("azure-security-attestation, isolated", name, make)
    kind, deny = AttestationType.OPEN_ENCLAVE, "version= 1.0;authorizationrules{=> deny();};"
    signed = {"signing_key": read(os.environ["POLICY"] + ".key"), "signing_certificate": read(os.environ["POLICY"] + ".pem")}
    another = certificate()
    held = lambda: len(administrator.get_policy_management_certificates()[0])

    run("get_policy_management_certificates", lambda: held() == 1)
    run("set_policy, unsigned", lambda: administrator.set_policy(kind, deny))
    run("set_policy", lambda: administrator.set_policy(kind, deny, **signed)[0].policy_resolution == "Updated")
    run("get_policy", lambda: administrator.get_policy(kind)[0] == deny)
    run("reset_policy", lambda: administrator.reset_policy(kind, **signed)[0].policy_resolution == "Removed")
    run("add_policy_management_certificate", lambda: administrator.add_policy_management_certificate(another, **signed) and held() == 2)
    run("remove_policy_management_certificate", lambda: administrator.remove_policy_management_certificate(another, **signed) and held() == 1)


def certificate():
    """Returns a certificate in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST ONLY")])
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(hours=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


credentials()
managed = identity.ManagedIdentityCredential()
keys("Key Vault", VAULT, managed)
keys("Managed HSM", HSM, managed)
administration(managed)
attestation(managed)
isolated(managed)
