/** The hub's edge as who posts sees it: a domain of a fresh database, with real objects or scripted ones. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createApp } from "../../../../src/edge/app.ts";
import type { Message } from "../../../../src/core/message.ts";
import { open, subscriber, type Client } from "../../support/sockets.ts";
import { FakePostgres } from "./fake-postgres.ts";

/** What is sent. */
export interface PostRequest {
  readonly body?: BodyInit | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly query?: string;
  /** Bindings that differ. */
  readonly env?: Partial<Env>;
}

/** What came back. */
export interface Posted {
  readonly status: number;
  /** The slug of a problem, or `published`. */
  readonly word: string;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A shared domain with the key `key`, and a topic of it. */
export class Posting {
  readonly postgres: FakePostgres = new FakePostgres();
  readonly domain: string = crypto.randomUUID();

  constructor(policy: Record<string, string | number | boolean> = { publishers: "shared" }) {
    this.postgres.addKey({ keyId: 7, text: "key", domain: this.domain });
    this.postgres.domains.set(this.domain, policy);
  }

  /** Posts by the key, unless the headers say otherwise. */
  async post({
    body = "text",
    headers = {},
    method = "POST",
    query = "",
    env: bindings = {},
  }: PostRequest = {}): Promise<Posted> {
    const ctx = createExecutionContext();
    const url = `https://hub.test/v1/domains/${this.domain}/topics/topic/messages${query}`;
    const request = new Request(url, {
      method,
      headers: {
        "CF-Connecting-IP": crypto.randomUUID(),
        Authorization: "Bearer key",
        ...headers,
      },
      body,
    });
    const response = await createApp().fetch(
      request,
      { ...this.postgres.env(env), ...bindings },
      ctx,
    );
    const text = await response.text();
    await waitOnExecutionContext(ctx);
    const parsed = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    const { type = "published" } = parsed as { type?: string };
    const word = type.replace("urn:wspubsub:problem:", "");
    return { status: response.status, word, body: parsed, headers: response.headers };
  }

  /** A subscriber of the topic. */
  async subscribe(): Promise<Client> {
    const topic = env.TOPIC.getByName(`${this.domain}/topic`);
    return open(topic, subscriber({ publishers: "shared", maxMessageBytes: 33_554_432 }));
  }

  /** What a body of a type arrives as. */
  async arrives(body: BodyInit, contentType: string | null): Promise<Message[]> {
    const reader = await this.subscribe();
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    const headers: Record<string, string> =
      contentType === null ? {} : { "Content-Type": contentType };
    const { body: answer } = await this.post({ body: bytes, headers });
    return (await reader.take(Number(answer["count"]))) as Message[];
  }
}
