// Calls the emulated services with Azure's own clients, unmodified, and prints a line for each call:
// the client, the call, the api-version that it sent, and the result.
const { generateKeyPairSync } = require('node:crypto');
const { readFileSync } = require('node:fs');
const identity = require('@azure/identity');
const { KeyClient, CryptographyClient } = require('@azure/keyvault-keys');
const { AttestationClient, AttestationAdministrationClient } = require('@azure/attestation');

const settings = JSON.parse(process.env.SETTINGS);
const scope = settings.resource + '/.default';
let version = '';

const seen = { name: 'seen', sendRequest(request, next) {
  version = new URL(request.url).searchParams.get('api-version') ?? version;
  return next(request);
} };
const options = { additionalPolicies: [{ policy: seen, position: 'perCall' }] };
const authority = { authorityHost: settings.authority, disableInstanceDiscovery: settings.authority.includes('localhost') };

async function call(client, name, run) {
  version = '';
  let result = 'ok';
  try {
    const value = await run();
    if (value === false || value === undefined) result = `returned ${value}`;
  } catch (problem) {
    result = `${problem.statusCode ?? ''} ${problem.code ?? problem.name}`.trim();
    if (process.env.VERBOSE) console.error(client, name, String(problem.message));
  }
  console.log(JSON.stringify({ client, call: name, version, result }));
}

async function count(pages) {
  let n = 0;
  for await (const page of pages) n += page ? 1 : 0;
  return n > 0;
}

async function identities() {
  const token = async (credential) => (await credential.getToken(scope)).token.length > 0;
  const run = (name, make) => call('@azure/identity', name, () => token(make()));
  const { tenant, client, secret, assertion, object, resourceID } = settings;
  await run('ManagedIdentityCredential', () => new identity.ManagedIdentityCredential());
  await run('ManagedIdentityCredential, clientId', () => new identity.ManagedIdentityCredential({ clientId: client }));
  await run('ManagedIdentityCredential, objectId', () => new identity.ManagedIdentityCredential({ objectId: object }));
  await run('ManagedIdentityCredential, resourceId', () => new identity.ManagedIdentityCredential({ resourceId: resourceID }));
  await run('ClientSecretCredential', () => new identity.ClientSecretCredential(tenant, client, secret, authority));
  await run('ClientAssertionCredential', () =>
    new identity.ClientAssertionCredential(tenant, client, async () => readFileSync(assertion, 'utf8'), authority));
  await run('WorkloadIdentityCredential', () =>
    new identity.WorkloadIdentityCredential({ tenantId: tenant, clientId: client, tokenFilePath: assertion, ...authority }));
  await run('DefaultAzureCredential', () => new identity.DefaultAzureCredential(authority));
}

function privateKey() {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const members = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => [name, Buffer.from(key[name], 'base64url')]);
  return { kty: 'RSA', keyOps: ['sign', 'verify'], ...Object.fromEntries(members) };
}

async function keys(flavour, url, credential) {
  const client = new KeyClient(url, credential, options);
  const hardware = flavour !== 'Key Vault';
  const run = (name, f) => call(`@azure/keyvault-keys, ${flavour}`, name, f);
  const patient = { intervalInMs: 10 };
  const releasePolicy = { encodedPolicy: Buffer.from(settings.policy) };
  await run('createRsaKey', () => client.createRsaKey('rsa', { keySize: 2048, hsm: true, exportable: true, releasePolicy }));
  await run('createRsaKey, exponent 3', () => client.createRsaKey('three', { publicExponent: 3 }));
  await run('createEcKey, P-256K', () => client.createEcKey('ec', { curve: 'P-256K' }));
  await run('createOctKey', () => client.createOctKey('oct', { keySize: 256 }));
  await run('importKey', () => client.importKey('imported', privateKey()));
  await run('getKey', () => client.getKey('rsa'));
  await run('listPropertiesOfKeys', () => count(client.listPropertiesOfKeys()));
  await run('updateKeyProperties', () => client.updateKeyProperties('rsa', { tags: { purpose: 'test' } }));
  await run('rotateKey', () => client.rotateKey('rsa'));
  await run('listPropertiesOfKeyVersions', () => count(client.listPropertiesOfKeyVersions('rsa')));
  await run('updateKeyRotationPolicy', () => client.updateKeyRotationPolicy('rsa',
    { expiresIn: 'P90D', lifetimeActions: [{ action: 'Rotate', timeBeforeExpiry: 'P30D' }] }));
  await run('getKeyRotationPolicy', () => client.getKeyRotationPolicy('rsa'));
  await run('getKeyAttestation', async () => {
    const { attestation } = (await client.getKeyAttestation('rsa')).properties;
    return hardware ? attestation.privateKeyAttestation.length > 0 : attestation === undefined;
  });
  await run('releaseKey', async () => (await client.releaseKey('rsa', settings.token)).value.length > 0);
  await run('getRandomBytes', async () => (await client.getRandomBytes(16)).length === 16);
  let backup;
  await run('backupKey', async () => { backup = await client.backupKey('ec'); return backup.length > 0; });
  await run('beginDeleteKey', async () => (await (await client.beginDeleteKey('ec', patient)).pollUntilDone()).name);
  await run('getDeletedKey', () => client.getDeletedKey('ec'));
  await run('listDeletedKeys', () => count(client.listDeletedKeys()));
  await run('beginRecoverDeletedKey', async () => (await (await client.beginRecoverDeletedKey('ec', patient)).pollUntilDone()).name);
  await run('purgeDeletedKey', async () => {
    await (await client.beginDeleteKey('ec', patient)).pollUntilDone();
    await client.purgeDeletedKey('ec');
    return true;
  });
  await run('restoreKeyBackup', () => client.restoreKeyBackup(backup));
  await cryptography(flavour, client, credential);
}

async function cryptography(flavour, client, credential) {
  const run = (name, f) => call(`CryptographyClient, ${flavour}`, name, f);
  const of = async (name) => new CryptographyClient(await client.getKey(name), credential, options);
  const text = Buffer.from('a message'), session = Buffer.alloc(32, 7);
  for (const algorithm of ['RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256']) {
    await run(`encrypt, decrypt ${algorithm}`, async () => {
      const rsa = await of('rsa');
      const { result } = await rsa.encrypt({ algorithm, plaintext: text });
      return text.equals(Buffer.from((await rsa.decrypt({ algorithm, ciphertext: result })).result));
    });
    await run(`wrapKey, unwrapKey ${algorithm}`, async () => {
      const rsa = await of('rsa');
      const { result } = await rsa.wrapKey(algorithm, session);
      return session.equals(Buffer.from((await rsa.unwrapKey(algorithm, result)).result));
    });
  }
  for (const [name, algorithms] of [['rsa', ['RS256', 'RS384', 'RS512', 'PS256']], ['ec', ['ES256K']]]) {
    for (const algorithm of algorithms) {
      await run(`signData, verifyData ${algorithm}`, async () => {
        const key = await of(name);
        const { result } = await key.signData(algorithm, text);
        return (await key.verifyData(algorithm, text, result)).result;
      });
    }
  }
  if (flavour === 'Key Vault') return;
  await run('encrypt, decrypt A256GCM', async () => {
    const oct = await of('oct'), algorithm = 'A256GCM', additionalAuthenticatedData = Buffer.from('context');
    const sealed = await oct.encrypt({ algorithm, plaintext: text, additionalAuthenticatedData });
    const opened = await oct.decrypt({ algorithm, ciphertext: sealed.result, iv: sealed.iv,
      authenticationTag: sealed.authenticationTag, additionalAuthenticatedData });
    return text.equals(Buffer.from(opened.result));
  });
  await run('encrypt, decrypt A256CBCPAD', async () => {
    const oct = await of('oct'), algorithm = 'A256CBCPAD', iv = Buffer.alloc(16, 1);
    const sealed = await oct.encrypt({ algorithm, plaintext: text, iv });
    return text.equals(Buffer.from((await oct.decrypt({ algorithm, ciphertext: sealed.result, iv })).result));
  });
  await run('wrapKey, unwrapKey A256KW', async () => {
    const oct = await of('oct');
    const { result } = await oct.wrapKey('A256KW', session);
    return session.equals(Buffer.from((await oct.unwrapKey('A256KW', result)).result));
  });
}

async function attestation(credential) {
  const client = new AttestationClient(settings.maa, { credentials: credential, ...options });
  const administrator = new AttestationAdministrationClient(settings.maa, credential, options);
  const run = (name, f) => call('@azure/attestation', name, f);
  const permit = 'version= 1.0;authorizationrules{=> permit();};', deny = 'version= 1.0;authorizationrules{=> deny();};';
  await run('getOpenIdMetadata', () => client.getOpenIdMetadata());
  await run('getAttestationSigners', async () => (await client.getAttestationSigners()).length > 0);
  await run('getPolicy', async () => (await administrator.getPolicy('SevSnpVm')).body === permit);
  await run('setPolicy', async () => (await administrator.setPolicy('SevSnpVm', deny)).body.policyResolution === 'Updated');
  await run('getPolicy, after setPolicy', async () => (await administrator.getPolicy('SevSnpVm')).body === deny);
  await run('resetPolicy', async () => (await administrator.resetPolicy('SevSnpVm')).body.policyResolution === 'Removed');
  await run('getPolicy, after resetPolicy', async () => (await administrator.getPolicy('SevSnpVm')).body === permit);
  await run('attestSgxEnclave', () => client.attestSgxEnclave(Buffer.from('no quote')));
  await run('attestTpm', () => client.attestTpm('{"payload":{"type":"aikcert"}}'));
  await run('getPolicyManagementCertificates', async () => (await administrator.getPolicyManagementCertificates()).body.length === 0);
}

(async () => {
  await identities();
  const credential = new identity.ManagedIdentityCredential();
  await keys('Key Vault', settings.vault, credential);
  await keys('Managed HSM', settings.hsm, credential);
  await attestation(credential);
})();
