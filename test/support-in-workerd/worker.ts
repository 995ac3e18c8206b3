/**
 * The Worker as the tests run it: the real one, its objects' storage, alarms and calls wrapped so that a test
 * can make them fail (faults.ts). The real classes know nothing of it; each object is wrapped again whenever
 * the runtime makes it anew.
 */
import app, {
  Domain as RealDomain,
  KeyDesk as RealKeyDesk,
  Topic as RealTopic,
} from "../../src/main.ts";
import { faultyEnv, type Caller } from "./faulty-calls.ts";
import { faultyContext, faultyState, runAlarm } from "./faulty-object.ts";

const EDGE: Caller = { name: "edge", object: "edge" };
const KEY_DESK: Caller = { name: "KeyDesk", object: "KeyDesk" };

/** Topics that may fail. */
export class Topic extends RealTopic {
  constructor(ctx: DurableObjectState, env: Env) {
    const caller = callerOf("TOPIC", ctx);
    super(faultyState(ctx, caller), faultyEnv(env, caller));
  }

  // oxlint-disable-next-line typescript/no-misused-promises -- The runtime waits for an alarm's promise.
  override alarm(): Promise<void> {
    return runAlarm(this.ctx, () => super.alarm());
  }
}

/** Domains that may fail. */
export class Domain extends RealDomain {
  constructor(ctx: DurableObjectState, env: Env) {
    const caller = callerOf("DOMAIN", ctx);
    super(faultyState(ctx, caller), faultyEnv(env, caller));
  }

  override alarm(): Promise<void> {
    return runAlarm(this.ctx, () => super.alarm());
  }
}

/** A key desk whose calls may fail. */
export class KeyDesk extends RealKeyDesk {
  constructor(ctx: ExecutionContext, env: Env) {
    super(faultyContext(ctx, KEY_DESK), faultyEnv(env, KEY_DESK));
  }
}

function callerOf(binding: string, { id }: DurableObjectState): Caller {
  return { name: `${binding} ${id.name ?? "?"}`, object: id.toString() };
}

const edge: ExportedHandler<Env> = {
  fetch: (request, env, ctx) => app.fetch(request, faultyEnv(env, EDGE), faultyContext(ctx, EDGE)),
};

export default edge;
