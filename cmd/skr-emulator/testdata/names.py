"""Asks the vault and the authority, with Python's own resolver and TLS."""
import os, ssl, urllib.error, urllib.request

TRUST = ssl.create_default_context(cafile=os.environ["SKR_CA_FILE"])

def status(url):
    try:
        return urllib.request.urlopen(url, context=TRUST).status
    except urllib.error.HTTPError as e:
        return e.code

print(status(f"https://{os.environ['AKV_ENDPOINT']}/keys?api-version=7.4"), status(f"https://{os.environ['MAA_ENDPOINT']}/certs"))
