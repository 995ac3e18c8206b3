/**
 * What a client does in these tests, in whatever runtime: publishes numbered messages until it is told to stop, reads
 * them, and says what it found wrong. It is given the library and a function to report to. It knows nothing but
 * JavaScript and `fetch`, so that Node, Deno, Bun and a page run the same lines.
 */
import type * as client from "../../../src/client/main.ts";
import { contentOf, describeContent, isSame, LAST } from "./numbered.ts";
import { Pace } from "./pace.ts";

/** The client library. */
export type ClientLibrary = typeof client;

/** What one program is to do; goes to it as JSON. URLs of words and tokens are the control's. */
export interface Task {
  readonly publish?: {
    readonly url: string;
    readonly options?: object;
    readonly token?: string;
    /** When this is said it publishes a last message, finishes and closes. */
    readonly stop: string;
  };
  readonly subscribe?: {
    readonly url: string;
    readonly options?: object;
    readonly token?: string;
    /** Waited for behind the first message, before anything else is read. */
    readonly pause?: string;
  };
  /** Where nobody can finish the topic, the reader leaves behind the last message. */
  readonly cannotFinish?: boolean;
  /** How many characters a message has at least. */
  readonly padding?: number;
}

/** What it says meanwhile, and at last. */
export type Report =
  /** For the n-th time, counted from 1; `isConnected: false` ends the n-th connection. */
  | {
      readonly type: "connected";
      readonly role: Role;
      readonly isConnected: boolean;
      readonly time: number;
    }
  /** So many messages are read: 1, or so many hundreds. */
  | { readonly type: "reading"; readonly messages: number }
  | { readonly type: "published"; readonly messages: number }
  | { readonly type: "read"; readonly messages: number }
  | { readonly type: "fault"; readonly fault: string };

/** Which half of the library. */
export type Role = "publisher" | "subscriber";

/** The library's outbox, and the number of the first message that it has not seen. */
export interface NumberedOutbox extends client.Outbox {
  readonly next: number;
}

/** More than the control takes to answer. */
const ASK_AGAIN_MS = 10_000;
/** Between two requests that fail. */
const OFFLINE_MS = 200;
/** Publishes that wait for their acks. */
const WINDOW = 16;
/** Enough to see what is wrong: where a hole is, much may follow. */
const MOST_FAULTS = 10;

/** Does a task; resolves when both roles are through and closed. */
export async function runTraffic(
  library: ClientLibrary,
  task: Task,
  report: (report: Report) => void,
  outbox: NumberedOutbox | null = null,
): Promise<void> {
  let faults = 0;
  const say = (each: Report): void => {
    if (each.type !== "fault" || faults++ < MOST_FAULTS) report(each);
  };
  const pace = task.subscribe === undefined ? null : new Pace();
  await Promise.all([
    publishNumbers(library, task, { say, pace, outbox }),
    readNumbers(library, task, { say, pace }),
  ]);
}

/** What both roles have. */
interface Means {
  readonly say: (report: Report) => void;
  readonly pace: Pace | null;
}

async function publishNumbers(
  library: ClientLibrary,
  { publish: of, cannotFinish = false, padding = 0 }: Task,
  { say, pace, outbox }: Means & { outbox: NumberedOutbox | null },
): Promise<void> {
  if (of === undefined) return;
  const publisher = library.openPublisher(of.url, {
    ...of.options,
    ...tokenOption(of.token),
    ...(outbox && { outbox }),
  });
  reportState(publisher, "publisher", say);
  const stop = new AbortController();
  const stopped = isSaid(of.stop).then(() => stop.abort());
  let next = outbox?.next ?? 0;
  let answers = 0;
  const underWay: Promise<void>[] = [];
  for (let publish = 0; !stop.signal.aborted; publish++) {
    // One to three messages, which stay together.
    const messages = Array.from({ length: 1 + (publish % 3) }, () => contentOf(next++, padding));
    underWay.push(
      publisher.publish(messages).then(() => {
        if (answers++ === publish) return;
        say({ type: "fault", fault: `publish ${publish} was answered out of turn` });
      }),
    );
    if (underWay.length >= WINDOW) await underWay.shift();
    await Promise.race([pace?.isNear(next), stopped]);
  }
  await Promise.all([...underWay, stopped]);
  await (cannotFinish ? publisher.publish([LAST]) : publisher.finish(LAST));
  await publisher.close();
  await publisher.done;
  expectClosed(publisher.state, "publisher", say);
  say({ type: "published", messages: next });
}

async function readNumbers(
  library: ClientLibrary,
  { subscribe: of, cannotFinish = false, padding = 0 }: Task,
  { say, pace }: Means,
): Promise<void> {
  if (of === undefined) return;
  const subscription = library.subscribe(of.url, { ...of.options, ...tokenOption(of.token) });
  reportState(subscription, "subscriber", say);
  subscription.addEventListener("gap", () => say({ type: "fault", fault: "was told of a gap" }));
  let next = 0;
  let isOver = false;
  for await (const { data } of subscription) {
    if (isOver) say({ type: "fault", fault: `read ${describeContent(data)} behind the last one` });
    isOver = data === LAST;
    // Else the loop must end by itself.
    if (isOver && cannotFinish) break;
    if (isOver) continue;
    const expected = contentOf(next, padding);
    if (!isSame(data, expected)) {
      const [found, wanted] = [data, expected].map(describeContent);
      say({ type: "fault", fault: `read ${found} and not ${wanted}` });
      next = Number.parseInt(describeContent(data), 10);
    }
    pace?.hasRead(++next);
    if (next === 1 || next % 100 === 0) say({ type: "reading", messages: next });
    if (next === 1 && of.pause !== undefined) await isSaid(of.pause);
  }
  if (!isOver) say({ type: "fault", fault: "the loop ended before the last message" });
  await subscription.done;
  expectClosed(subscription.state, "subscriber", say);
  say({ type: "read", messages: next });
}

/** Resolves when the control says a word. A request of a page that is offline fails, or is never answered. */
async function isSaid(word: string): Promise<void> {
  for (let status = 0; status !== 200;) {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ASK_AGAIN_MS);
    try {
      ({ status } = await fetch(word, { signal: late.signal }));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, OFFLINE_MS));
    } finally {
      clearTimeout(timer);
    }
  }
}

function tokenOption(url: string | undefined): object {
  if (url === undefined) return {};
  return {
    token: async () => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`No token: ${response.status}`);
      return response.text();
    },
  };
}

function reportState(
  target: client.Subscription | client.Publisher,
  role: Role,
  say: (report: Report) => void,
): void {
  let isConnected = false;
  let time = 0;
  target.addEventListener("state", () => {
    if (target.connected === isConnected) return;
    isConnected = target.connected;
    if (isConnected) time++;
    say({ type: "connected", role, isConnected, time });
  });
}

function expectClosed(state: string, role: Role, say: (report: Report) => void): void {
  if (state !== "closed") say({ type: "fault", fault: `the ${role} is ${state} at the end` });
}
