/** The hub's routes under /v1 as tests use them: plain HTTP, nothing of the hub's code. */
import { inject } from "vitest";
import { ownAddress } from "./client.ts";

/** An answer: the status and the JSON. */
export interface AdminAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** Asks a route of the hub under test; as its admin, unless another credential is given (`null`: none). */
export async function admin(
  method: string,
  path: string,
  credential: string | null = inject("hub").adminToken,
): Promise<AdminAnswer> {
  const base = inject("hub").url.replace(/^ws/, "http");
  const response = await fetch(`${base}/v1/domains/${path}`, {
    method,
    headers: {
      "CF-Connecting-IP": ownAddress(),
      ...(credential === null ? {} : { Authorization: `Bearer ${credential}` }),
    },
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}
