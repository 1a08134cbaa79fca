// A user's program around the types that openapi-typescript generated.
import createClient from "openapi-fetch";
import type { components, paths } from "./skr";

type ReleaseRequest = components["schemas"]["ReleaseRequest"];

const [base, alias, authority, vault, key] = process.argv.slice(2) as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl: base });

// @ts-expect-error: one of the three names is not a complete request
const incomplete: ReleaseRequest = { kid: key };
void incomplete;

async function main(): Promise<void> {
  const requests: ReleaseRequest[] = [{ alias }, { maa_endpoint: authority, akv_endpoint: vault, kid: key }];
  for (const body of requests) {
    const { data, error } = await client.POST("/key/release", { body });
    if (data === undefined) {
      throw new Error(`${error.code}: ${error.error}`);
    }
    const jwk = JSON.parse(data.key) as { kty: string };
    console.log("released", jwk.kty);
  }
  const { error } = await client.POST("/key/release", { body: { alias: "absent" } });
  console.log("refused", error?.code === "bad_request");
  const report = await client.POST("/attest/raw", { body: { runtime_data: Buffer.from("hello").toString("base64") } });
  console.log("report", (report.data?.report.length ?? 0) / 2);
}

main().catch((reason: unknown) => {
  console.error(reason);
  process.exit(1);
});
