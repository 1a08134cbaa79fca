// Uses keys that stay in the sidecar with Azure's own client, and prints what worked.
// Arguments: the vault's URL, the file of the token.
import { readFileSync } from "node:fs";
import { createHash, createPublicKey, constants, publicEncrypt, verify } from "node:crypto";
import { DefaultAzureCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";

const [url, tokenFile] = process.argv.slice(2);
const credential = {
  getToken: async () => ({ token: readFileSync(tokenFile, "utf8"), expiresOnTimestamp: Date.now() + 3600_000 }),
};
const options = { disableChallengeResourceVerification: true };
const keys = new KeyClient(url, credential, options);
const cryptography = (id) => new CryptographyClient(id, credential, options);
const text = Buffer.from("a secret");
const digest = (name) => createHash(name).update("text").digest();
const publicKey = (key) =>
  createPublicKey({
    format: "jwk",
    key: { kty: key.key.kty, n: Buffer.from(key.key.n).toString("base64url"), e: Buffer.from(key.key.e).toString("base64url") },
  });

function check(what, got, want = text) {
  if (!Buffer.from(got).equals(want)) throw new Error(`${what}: got ${Buffer.from(got)}`);
  console.log(what);
}

const rsa = await keys.getKey("rsa");
if (rsa.key.d) throw new Error("the private part is in the answer");
const client = cryptography(rsa);
// The first key only decrypts, unwraps and signs here: the client encrypts RSA-OAEP with the public
// part. The second also encrypts here: the client sends RSA-OAEP-256.
for (const [name, algorithm] of [["rsa", "RSA-OAEP"], ["all", "RSA-OAEP-256"]]) {
  const both = cryptography(await keys.getKey(name));
  const sealed = await both.encrypt({ algorithm, plaintext: text });
  check(`decrypt ${algorithm}`, (await both.decrypt({ algorithm, ciphertext: sealed.result })).result);
  const wrapped = await both.wrapKey(algorithm, text);
  check(`unwrap ${algorithm}`, (await both.unwrapKey(algorithm, wrapped.result)).result);
}
const oaepHash = "sha256";
const padding = constants.RSA_PKCS1_OAEP_PADDING;
const byNode = publicEncrypt({ key: publicKey(rsa), padding, oaepHash }, text);
check("decrypt what node encrypts", (await cryptography(rsa.id).decrypt("RSA-OAEP-256", byNode)).result);
const all = cryptography(await keys.getKey("all")); // the client does not verify a digest itself
for (const [algorithm, hash] of [["RS256", "sha256"], ["PS384", "sha384"], ["RS512", "sha512"]]) {
  const signed = await all.sign(algorithm, digest(hash));
  const { result } = await all.verify(algorithm, digest(hash), signed.result);
  if (!result) throw new Error(`${algorithm} does not verify`);
  console.log(`sign ${algorithm}`);
}
const data = await client.signData("RS256", Buffer.from("text"));
if (!verify("sha256", Buffer.from("text"), publicKey(rsa), data.result)) throw new Error("signData does not verify");
console.log("signData RS256");

// A client that has only the name of the key, without a version.
const named = cryptography(`${url}/keys/rsa`);
check("decrypt without a version", (await named.decrypt("RSA-OAEP-256", byNode)).result);

for (const [name, algorithm] of [["p256", "ES256"], ["k256", "ES256K"]]) {
  const ec = cryptography((await keys.getKey(name)).id);
  const signed = await ec.sign(algorithm, digest("sha256"));
  const { result } = await ec.verify(algorithm, digest("sha256"), signed.result);
  const other = await ec.verify(algorithm, digest("sha256").reverse(), signed.result);
  if (!result || other.result) throw new Error(`${algorithm} does not verify`);
  console.log(`sign and verify ${algorithm}`);
}

// A symmetric key has no public part, so all its operations are the sidecar's.
const aes = cryptography(`${url}/keys/aes`);
const additionalAuthenticatedData = Buffer.from("topic");
const sealed = await aes.encrypt({ algorithm: "A256GCM", plaintext: text, additionalAuthenticatedData });
const opened = await aes.decrypt({
  algorithm: "A256GCM", ciphertext: sealed.result, iv: sealed.iv, authenticationTag: sealed.authenticationTag, additionalAuthenticatedData,
});
check("encrypt and decrypt A256GCM", opened.result);
const wrapped = await aes.wrapKey("A256KW", Buffer.alloc(32, 7));
check("wrap and unwrap A256KW", (await aes.unwrapKey("A256KW", wrapped.result)).result, Buffer.alloc(32, 7));

// The token as that of a managed identity (IDENTITY_ENDPOINT and IDENTITY_HEADER).
const managed = new CryptographyClient(rsa.id, new DefaultAzureCredential(), options);
check("decrypt with DefaultAzureCredential", (await managed.decrypt("RSA-OAEP-256", byNode)).result);

// A refusal is the vault's, and says what to do.
try {
  await cryptography(rsa.id).decrypt("RSA-OAEP-256", Buffer.alloc(384));
} catch (error) {
  console.log(`refused ${error.statusCode} ${error.code}`);
}
