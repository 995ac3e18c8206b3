/** wrangler.toml as wrangler reads it, for one of its environments: the part that is the hub's. */
import { join } from "node:path";
import * as v from "valibot";
import { UserError } from "./fail.ts";

/** What is read where no other file is named. */
export const DEFAULT_CONFIG: string = join(import.meta.dirname, "../../wrangler.toml");

/** What wrangler makes of it. */
export interface HubConfig {
  readonly name?: string | undefined;
  readonly account_id?: string | undefined;
  /** Of the file, whichever was read. */
  readonly definedEnvironments: readonly string[];
  readonly durable_objects: {
    readonly bindings: readonly {
      readonly name: string;
      readonly class_name: string;
      readonly script_name?: string | undefined;
    }[];
  };
  readonly ratelimits: readonly {
    readonly name: string;
    readonly namespace_id: string;
    readonly simple: { readonly limit: number; readonly period: number };
  }[];
  readonly vars: Readonly<Record<string, unknown>>;
  /** Their patterns; a custom domain is one. */
  readonly routes: readonly string[];
  readonly secrets: { readonly required: readonly string[] };
  readonly observability: {
    readonly enabled?: boolean | undefined;
    readonly redact_query_string?: boolean | undefined;
    readonly logs?:
      | { readonly enabled?: boolean | undefined; readonly invocation_logs?: boolean | undefined }
      | undefined;
    readonly traces?: { readonly enabled?: boolean | undefined } | undefined;
  };
}

const FlagSchema = v.optional(v.boolean());

const RouteSchema = v.union([
  v.string(),
  v.pipe(
    v.object({ pattern: v.string() }),
    v.transform(({ pattern }) => pattern),
  ),
]);

const HubConfigSchema = v.object({
  name: v.optional(v.string()),
  account_id: v.optional(v.string()),
  definedEnvironments: v.optional(v.array(v.string()), []),
  durable_objects: v.object({
    bindings: v.array(
      v.object({ name: v.string(), class_name: v.string(), script_name: v.optional(v.string()) }),
    ),
  }),
  ratelimits: v.array(
    v.object({
      name: v.string(),
      namespace_id: v.string(),
      simple: v.object({ limit: v.number(), period: v.number() }),
    }),
  ),
  vars: v.record(v.string(), v.unknown()),
  routes: v.optional(v.array(RouteSchema), []),
  secrets: v.optional(v.object({ required: v.optional(v.array(v.string()), []) }), {}),
  observability: v.optional(
    v.object({
      enabled: FlagSchema,
      redact_query_string: FlagSchema,
      logs: v.optional(v.object({ enabled: FlagSchema, invocation_logs: FlagSchema })),
      traces: v.optional(v.object({ enabled: FlagSchema })),
    }),
    {},
  ),
});

/** Reads it; throws a UserError for what wrangler would not take. */
export async function readHubConfig(config: string, env: string | undefined): Promise<HubConfig> {
  // Not before it is needed: loading it takes a second.
  const { unstable_readConfig: readConfig } = await import("wrangler");
  let found: unknown;
  try {
    found = readConfig({ config, env }, { hideWarnings: true });
  } catch (cause) {
    // wrangler's own UserError and ParseError, whose message is the explanation.
    if (!(cause instanceof Error)) throw cause;
    throw new UserError(cause.message.trimEnd(), { cause });
  }
  return v.parse(HubConfigSchema, found);
}
