/**
 * In which jurisdiction the deployed hub has its objects, as Cloudflare tells wrangler. Changes nothing; what
 * cannot be told is never taken for "none".
 */
import * as v from "valibot";
import { askWrangler } from "./wrangler.ts";

/** What there is. */
export type Deployed =
  /** `none` for a version without one; several while versions share the traffic. */
  | { readonly type: "found"; readonly jurisdictions: readonly string[] }
  | { readonly type: "nothing" }
  | { readonly type: "unknown"; readonly reason: string };

const DeploymentSchema = v.object({ versions: v.array(v.object({ version_id: v.string() })) });

const VersionSchema = v.object({
  resources: v.object({ bindings: v.array(v.looseObject({ name: v.string() })) }),
});

const OTHER_JSON: Deployed = { type: "unknown", reason: "wrangler did not say" };

/** Asks; `which` are wrangler's options that choose the Worker. */
export async function findDeployed(which: readonly string[]): Promise<Deployed> {
  const status = await askWrangler(["deployments", "status", ...which, "--json"]);
  if (status.type !== "json") return status;
  const deployment = v.safeParse(DeploymentSchema, status.value);
  if (!deployment.success) return OTHER_JSON;
  const { versions } = deployment.output;
  if (versions.length === 0) return { type: "nothing" };
  const jurisdictions = new Set<string>();
  for (const { version_id } of versions) {
    const view = await askWrangler(["versions", "view", version_id, ...which, "--json"]);
    if (view.type !== "json") return view;
    const version = v.safeParse(VersionSchema, view.value);
    if (!version.success) return OTHER_JSON;
    jurisdictions.add(jurisdictionOf(version.output));
  }
  return { type: "found", jurisdictions: [...jurisdictions] };
}

function jurisdictionOf({ resources }: v.InferOutput<typeof VersionSchema>): string {
  const binding = resources.bindings.find(({ name }) => name === "JURISDICTION");
  const text = binding?.["text"];
  return typeof text === "string" && text !== "" ? text : "none";
}
