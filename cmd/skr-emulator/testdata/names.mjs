// Asks the vault and the authority, with Node's own resolver and TLS.
const status = async (url) => (await fetch(url)).status;
console.log(await status(`https://${process.env.AKV_ENDPOINT}/keys?api-version=7.4`), await status(`https://${process.env.MAA_ENDPOINT}/certs`));
