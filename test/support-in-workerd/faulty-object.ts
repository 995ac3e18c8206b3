/**
 * What an object is given instead of the runtime's context, and how its alarm may fail. The context's
 * storage, exports and background work are the table's to disturb and to count; all else is the real one's.
 */
import { table } from "./fault-table.ts";
import { faultyExports, type Caller } from "./faulty-calls.ts";
import { faultyStorage } from "./faulty-storage.ts";

/** How an alarm fails. */
export interface AlarmEffect {
  readonly error: Error;
  /** Whether it did its work before. */
  readonly isDone: boolean;
}

/** A context for the constructor of an object. */
export function faultyState(ctx: DurableObjectState, caller: Caller): DurableObjectState {
  table.forgetWork(caller.object);
  const storage = faultyStorage(ctx);
  return Object.defineProperty(faultyContext(ctx, caller), "storage", { value: storage });
}

/**
 * A context whose calls and background work are the table's, for a request too. The runtime takes what inherits from
 * its own context, but its methods insist on the real one.
 */
export function faultyContext<T extends DurableObjectState | ExecutionContext>(
  ctx: T,
  caller: Caller,
): T {
  const faulty: T = Object.create(ctx);
  const names = [Object.getPrototypeOf(ctx), ctx].flatMap((part) =>
    Object.getOwnPropertyNames(part),
  );
  for (const name of names) {
    if (name === "constructor") continue;
    const get = (): unknown => {
      const value: unknown = Reflect.get(ctx, name);
      return typeof value === "function" ? value.bind(ctx) : value;
    };
    Object.defineProperty(faulty, name, { get, configurable: true });
  }
  const exports = faultyExports(ctx.exports, caller);
  const waitUntil = (work: Promise<unknown>): void => {
    ctx.waitUntil(table.track(caller.object, work));
  };
  return Object.defineProperties(faulty, {
    exports: { value: exports },
    waitUntil: { value: waitUntil },
  });
}

/** Runs an object's alarm, unless it shall fail. */
export async function runAlarm(
  { id }: DurableObjectState,
  run: () => void | Promise<void>,
): Promise<void> {
  const object = id.toString();
  const happening = { object, kind: "alarm", method: "alarm", detail: "" } as const;
  const effect = table.strike(happening) as AlarmEffect | undefined;
  if (effect === undefined || effect.isDone) await run();
  if (effect !== undefined) throw effect.error;
}
