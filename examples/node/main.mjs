// Opens what was sealed to a key of the sidecar. It reads lines from its input:
// "CIPHERTEXT [VERSION]" opens a ciphertext in the sidecar, and "release" asks for the key.
import { createPrivateKey } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

const skr = process.env.SKR_URL ?? "http://localhost:8080", alias = process.argv[2];

async function ask(path, body) {
  for (;;) {
    const answer = await fetch(skr + path, body && { method: "POST", body: JSON.stringify(body) });
    if (answer.ok) return answer;
    const refusal = await answer.json(), wait = answer.headers.get("Retry-After");
    if (answer.status !== 503 || wait === null) throw new Error(`${refusal.code}: ${refusal.error}`);
    await setTimeout(1000 * Number(wait));
  }
}

let newest = "";
for await (const line of createInterface({ input: process.stdin })) {
  const [value, version = ""] = line.split(" ");
  try {
    if (value === "release") {
      const key = createPrivateKey(await (await ask(`/key/release?alias=${alias}&format=pem`)).text());
      console.log("released:", key.asymmetricKeyType, key.asymmetricKeyDetails.modulusLength);
      continue;
    }
    const used = await (await ask("/key/decrypt", { alias, version, alg: "RSA-OAEP-256", value })).json();
    if (version === "" && used.kid !== newest) { // the key was rotated
      newest = used.kid;
      console.log("key version:", newest.split("/").at(-1));
    }
    console.log("opened:", Buffer.from(used.value, "base64url").toString());
  } catch (refused) {
    console.log("refused:", refused.message);
  }
}
