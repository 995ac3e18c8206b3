/**
 * Objects that answer by a script, in the place of topics and domains: for what the edge makes of answers that
 * real ones give seldom, or that only the version before gives.
 */
import type { Answer } from "../../../../src/core/admission.ts";
import {
  formatAnswer,
  parseAdmission,
  ADMISSION_HEADER,
  WAITING_HEADER,
} from "../../../../src/core/admission.ts";
import type { Admission } from "../../../../src/core/admission.ts";
import type { Post } from "../../../../src/core/post.ts";
import type { Domain } from "../../../../src/domain/domain.ts";
import type { PageAnswer } from "../../../../src/topic/pages.ts";
import type { Topic } from "../../../../src/topic/topic.ts";

/** A page of a topic's. */
export type PageScript = Extract<PageAnswer, { readonly type: "page" }>;

type Scripted = Answer | PageScript | "admitted" | "closed" | "waiting" | Response | Error;

/**
 * A topic; the last answer of the script is given for ever. `"admitted"` is a 101, `"closed"` one that is over at once,
 * `"waiting"` one that waits for a start.
 */
export class ScriptedTopic {
  /** What it was told, in order. */
  readonly heard: Admission[] = [];
  readonly #script: Scripted[];

  /** An error is thrown. */
  constructor(...script: Scripted[]) {
    this.#script = script;
  }

  /** Stands for all topics. */
  get namespace(): DurableObjectNamespace<Topic> {
    return namespaceOf({ fetch: this.#fetch, page: this.#page });
  }

  readonly #page = async (admission: string): Promise<unknown> => {
    this.heard.push(parseAdmission(admission));
    return this.#next();
  };

  #next(): Exclude<Scripted, Error> {
    const answer = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
    if (answer === undefined) throw new Error("Nothing is in the script");
    if (answer instanceof Error) throw answer;
    return answer;
  }

  readonly #fetch = async (
    _: string,
    { headers }: { headers: Record<string, string> },
  ): Promise<Response> => {
    this.heard.push(parseAdmission(headers[ADMISSION_HEADER] ?? null));
    const answer = this.#next();
    if (answer instanceof Response) return answer;
    if (typeof answer === "object" && answer.type === "page")
      throw new Error("No socket is a page");
    if (typeof answer === "object")
      return new Response(null, { status: 409, headers: formatAnswer(answer) });
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    if (answer === "closed") server.close(1000);
    const said: Record<string, string> = answer === "waiting" ? { [WAITING_HEADER]: "1" } : {};
    return new Response(null, { status: 101, webSocket: client, headers: said });
  };
}

/** A domain with some of its methods; one of the version before lacks some. */
export class ScriptedDomain {
  /** Every call that it took: the method's name, and what it was given. */
  readonly calls: (readonly [string, ...unknown[]])[] = [];
  readonly #methods: Readonly<Record<string, unknown>>;

  /** `methods`: what each returns, or a function that says so; an error is thrown. */
  constructor(methods: Readonly<Record<string, unknown>>) {
    this.#methods = methods;
  }

  /** Stands for all domains. */
  get namespace(): DurableObjectNamespace<Domain> {
    const call = (name: string, args: readonly unknown[]): Promise<unknown> => {
      if (!(name in this.#methods)) {
        const words = `The RPC receiver does not implement the method "${name}".`;
        return Promise.reject(new TypeError(words));
      }
      this.calls.push([name, ...args]);
      const scripted = this.#methods[name];
      const result: unknown = typeof scripted === "function" ? scripted() : scripted;
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
    };
    return namespaceOf(
      new Proxy(
        {},
        {
          get:
            (_, name) =>
            (...args: unknown[]) =>
              call(String(name), args),
        },
      ),
    );
  }
}

function namespaceOf<T extends Rpc.DurableObjectBranded>(stub: object): DurableObjectNamespace<T> {
  return { getByName: () => stub } as unknown as DurableObjectNamespace<T>;
}

/** A topic that takes posts; the last answer of the script is given for ever. An error is thrown. */
export class ScriptedPosts {
  /** What it was handed, in order. */
  readonly heard: Post[] = [];
  readonly #script: unknown[];

  constructor(...script: unknown[]) {
    this.#script = script;
  }

  /** Stands for all topics. */
  get namespace(): DurableObjectNamespace<Topic> {
    return namespaceOf({
      publish: (post: Post): Promise<unknown> => {
        this.heard.push(post);
        const answer = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    });
  }
}
