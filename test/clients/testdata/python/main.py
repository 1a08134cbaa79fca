# Uses keys that stay in the sidecar with Azure's own client, and prints what worked.
# Arguments: the vault's URL, the file of the token. REQUESTS_CA_BUNDLE names the CA.
import hashlib
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import (
    CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm,
)

url, token_file = sys.argv[1:]


class Local:
    def get_token(self, *scopes, **kwargs):
        with open(token_file) as file:
            return AccessToken(file.read(), int(time.time()) + 3600)


options = {"verify_challenge_resource": False}
keys = KeyClient(url, Local(), **options)
text = b"a secret"
digest = hashlib.sha256(b"text").digest()


def check(what, got, want=text):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}")
    print(what)


rsa = keys.get_key("rsa")
client = CryptographyClient(rsa, Local(), **options)
for algorithm in (EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa_oaep_256):
    sealed = client.encrypt(algorithm, text)  # locally, with the public part
    check(f"decrypt {algorithm.value}", client.decrypt(algorithm, sealed.ciphertext).plaintext)
wrapped = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, text)
check("unwrap RSA-OAEP-256", client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key)
for name, algorithm in (("rsa", SignatureAlgorithm.ps256), ("p256", SignatureAlgorithm.es256), ("k256", SignatureAlgorithm.es256_k)):
    signer = CryptographyClient(keys.get_key(name), Local(), **options)
    signed = signer.sign(algorithm, digest)
    check(f"sign {algorithm.value}", signer.verify(algorithm, digest, signed.signature).is_valid, True)
managed = CryptographyClient(rsa, ManagedIdentityCredential(), **options)
sealed = client.encrypt(EncryptionAlgorithm.rsa_oaep, text)
check("decrypt with ManagedIdentityCredential", managed.decrypt(EncryptionAlgorithm.rsa_oaep, sealed.ciphertext).plaintext)
try:
    client.decrypt(EncryptionAlgorithm.rsa_oaep_256, bytes(384))
except HttpResponseError as error:
    print("refused", error.status_code, error.error.code)
