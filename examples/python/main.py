"""Opens what was sealed to a key of the sidecar. It reads lines from its input:
"CIPHERTEXT [VERSION]" opens a ciphertext in the sidecar, and "release" asks for the key."""
import base64, json, os, sys, time, urllib.error, urllib.request
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SKR, ALIAS = os.environ.get("SKR_URL", "http://localhost:8080"), sys.argv[1]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no key goes to a proxy

class Refused(Exception): pass

def ask(path, body=None):
    while True:
        try:
            return DIRECT.open(urllib.request.Request(SKR + path, body and json.dumps(body).encode())).read()
        except urllib.error.HTTPError as e:
            refusal = json.load(e)
            if e.code != 503 or "Retry-After" not in e.headers:
                raise Refused(f"{refusal['code']}: {refusal['error']}") from None
            time.sleep(int(e.headers["Retry-After"]))

newest = ""
for line in sys.stdin:
    value, _, version = line.strip().partition(" ")
    try:
        if value == "release":
            key = load_pem_private_key(ask(f"/key/release?alias={ALIAS}&format=pem"), None)
            print("released: RSA", key.key_size, flush=True)
            continue
        used = json.loads(ask("/key/decrypt", {"alias": ALIAS, "version": version, "alg": "RSA-OAEP-256", "value": value}))
        if not version and used["kid"] != newest:  # the key was rotated
            newest = used["kid"]
            print("key version:", newest.rsplit("/", 1)[1], flush=True)
        print("opened:", base64.urlsafe_b64decode(used["value"] + "==").decode(), flush=True)
    except Refused as e:
        print("refused:", e, flush=True)
