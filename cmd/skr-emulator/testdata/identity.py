"""Reads a key as an application on Azure does: Azure's own clients, a managed identity, Azure's names."""
from azure.identity import ManagedIdentityCredential
from azure.keyvault.keys import KeyClient

print(KeyClient("https://demo.vault.azure.net", ManagedIdentityCredential()).get_key("payroll").name)
