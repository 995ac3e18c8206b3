/**
 * The bindings by which objects and edge call objects and the key desk, with the table's faults on the way.
 * A call without a fault is passed on in the same turn, so that the order of calls is the real one.
 */
import { table } from "./fault-table.ts";
import { isNamespace } from "./fresh-stub.ts";
import { waitReally } from "./real-time.ts";

/** What becomes of a call. */
export type CallEffect =
  | {
      readonly type: "undelivered" | "unanswered";
      readonly error: Error;
      readonly breaksStub: boolean;
    }
  | { readonly type: "held"; readonly what: "call" | "answer"; readonly hold: Hold };

/** A call that waits for a test. */
export interface Hold {
  isReached: boolean;
  isReleased: boolean;
}

/** Answers in place of the key desk. */
export type Answers = Readonly<Record<string, (...args: unknown[]) => unknown>>;

/** A method of a stub. Not a function that has `apply` of its own: that would be a call, too. */
type Method = (...args: unknown[]) => Promise<unknown>;

const POLL_MS = 1;

const standIns: Map<string, Answers> = new Map();

/** What the key desk is called in the table when it is asked of a domain. */
export function keyDeskId(domain: string): string {
  return `KeyDesk ${domain}`;
}

/** Lets somebody else answer what the key desk is asked of a domain. */
export function replaceKeyDesk(domain: string, answers: Answers): void {
  standIns.set(domain, answers);
}

/** The key desk answers again. */
export function restoreKeyDesk(): void {
  standIns.clear();
}

/** Who calls. */
export interface Caller {
  /** For people. */
  readonly name: string;
  /** Of whose work the call is a part. */
  readonly object: string;
}

/** The bindings with faults. */
export function faultyEnv<T extends object>(env: T, caller: Caller): T {
  const entries = Object.entries(env).map(([key, value]: [string, unknown]) => [
    key,
    isNamespace(value) ? faultyNamespace(value, caller) : value,
  ]);
  return Object.fromEntries(entries) as T;
}

/** `ctx.exports` with faults. */
export function faultyExports(exports: Cloudflare.Exports, caller: Caller): Cloudflare.Exports {
  return new Proxy(exports, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "KeyDesk") return faultyKeyDesk(value as object, caller);
      return isNamespace(value) ? faultyNamespace(value, caller) : value;
    },
  });
}

function faultyNamespace(
  namespace: DurableObjectNamespace,
  caller: Caller,
): DurableObjectNamespace {
  return new Proxy(namespace, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, target, args);
        return key === "getByName" || key === "get"
          ? faultyStub(result as DurableObjectStub, caller)
          : result;
      };
    },
  });
}

function faultyStub(stub: DurableObjectStub, caller: Caller): DurableObjectStub {
  const object = stub.id.toString();
  return interceptCalls(stub, () => object, caller);
}

function faultyKeyDesk(desk: object, caller: Caller): object {
  return interceptCalls(
    desk,
    ([domain]) => keyDeskId(String(domain)),
    caller,
    ([domain]) => standIns.get(String(domain)),
  );
}

function interceptCalls<T extends object>(
  target: T,
  objectOf: (args: readonly unknown[]) => string,
  caller: Caller,
  standInOf: (args: readonly unknown[]) => Answers | undefined = () => undefined,
): T {
  let broken: Error | null = null;
  return new Proxy(target, {
    get(_, key) {
      if (typeof key !== "string" || key === "id" || key === "name")
        return Reflect.get(target, key);
      return (...args: unknown[]): Promise<unknown> => {
        const object = objectOf(args);
        table.note({ object, method: key, args, from: caller.name });
        if (broken !== null) return Promise.reject(broken);
        const happening = { object, kind: "call", method: key, detail: "" } as const;
        const effect = table.strike(happening) as CallEffect | undefined;
        if (effect !== undefined && "breaksStub" in effect && effect.breaksStub) {
          broken = effect.error;
        }
        const standIn = standInOf(args)?.[key];
        const deliver = (): Promise<unknown> =>
          standIn === undefined
            ? Reflect.apply(Reflect.get(target, key) as Method, target, args)
            : answerInstead(standIn, args);
        return table.track(caller.object, pass(deliver, effect));
      };
    },
  });
}

/** Copies what goes in and comes out, as a call does. */
async function answerInstead(
  standIn: (...args: unknown[]) => unknown,
  args: readonly unknown[],
): Promise<unknown> {
  return structuredClone(await standIn(...structuredClone(args)));
}

function pass(deliver: () => Promise<unknown>, effect: CallEffect | undefined): Promise<unknown> {
  switch (effect?.type) {
    case undefined:
      return deliver();
    case "undelivered":
      return Promise.reject(effect.error);
    case "unanswered":
      return deliver().then(() => {
        throw effect.error;
      });
    case "held":
      return effect.what === "call"
        ? waitFor(effect.hold).then(deliver)
        : holdAnswer(deliver(), effect.hold);
  }
}

async function holdAnswer(answer: Promise<unknown>, hold: Hold): Promise<unknown> {
  try {
    return await answer;
  } finally {
    await waitFor(hold);
  }
}

/** Looks again and again: a promise that a test resolves belongs to another request, which may be over by then. */
function waitFor(hold: Hold): Promise<void> {
  const wait = async (): Promise<void> => {
    hold.isReached = true;
    while (!hold.isReleased) await waitReally(POLL_MS);
  };
  return table.hold(wait());
}
