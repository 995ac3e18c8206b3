/**
 * A publisher and a subscriber, each behind a chaos proxy of its own, cut again and again: what one publishes the other
 * must read, each message once and in order. For whatever runs the traffic.
 */
import { expect, onTestFinished } from "vitest";
import { drawFates } from "./fate.ts";
import { startChaosProxy, type ChaosProxy } from "./chaos-proxy.ts";
import type { ClientRun } from "./client-run.ts";
import { startControl, type Control } from "./control.ts";
import type { Task } from "./traffic.ts";

/** Which topic, and by which key. */
export interface Place {
  readonly pub: string;
  readonly sub: string;
  readonly key: string;
}

/** Proxies for both roles, and the control, for as long as a test runs. */
export interface Chaos {
  readonly publisher: ChaosProxy;
  readonly subscriber: ChaosProxy;
  readonly control: Control;
  /** Both roles through the proxies; says `stop` to end it. */
  readonly task: Required<Pick<Task, "publish" | "subscribe">>;
}

/** Sets up what a test needs around a topic; goes with the test. */
export async function startChaos({ pub, sub, key }: Place): Promise<Chaos> {
  const [publisher, subscriber, control] = await Promise.all([
    startChaosProxy(pub),
    startChaosProxy(sub),
    startControl(),
  ]);
  onTestFinished(async () => {
    control.stop();
    await Promise.all([publisher.stop(), subscriber.stop()]);
  });
  const task = {
    publish: {
      url: publisher.through(pub),
      stop: control.url("stop"),
      // Its own sockets of before may still be there.
      options: { key, takeover: true },
    },
    subscribe: { url: subscriber.through(sub), options: { since: "earliest" } },
  };
  return { publisher, subscriber, control, task };
}

/** Cuts both sides so many times, lets them come through, and expects each message once and in order. */
export async function expectExactlyOnce(
  place: Place,
  options: {
    readonly cuts: number;
    readonly seed: number;
    readonly start: (task: Task) => Promise<ClientRun>;
    readonly cannotFinish?: boolean;
  },
): Promise<void> {
  const { cuts, seed, start, cannotFinish = false } = options;
  const { publisher, subscriber, control, task } = await startChaos(place);
  publisher.setFates(drawFates(seed));
  subscriber.setFates(drawFates(seed + 1));
  const run = await start({ ...task, cannotFinish });
  const ended = run.ended({ withinSeconds: 45 + cuts * 3 }).catch((cause: unknown) => {
    const counts = JSON.stringify([publisher.counts, subscriber.counts]);
    throw new Error(`Failed with seed ${seed} after ${counts}`, { cause });
  });
  const cutOften = [publisher, subscriber].map(async (proxy) => {
    await proxy.until((counts) => counts.cuts >= cuts);
    // From here on it must come through, so that the other one is cut as often.
    proxy.setFates(null);
  });
  // Whichever comes first: a client that fails is never cut often enough.
  await Promise.race([Promise.all(cutOften), ended]);
  control.say("stop");
  const { published, read } = await ended;
  expect(read, `seed ${seed}`).toBe(published);
  expect(published).toBeGreaterThan(cuts);
  for (const proxy of [publisher, subscriber]) {
    expect(proxy.counts.cuts).toBeGreaterThanOrEqual(cuts);
    // Stranded ones, too, which nobody but the client can have closed.
    await proxy.until(({ open }) => open === 0);
  }
}
