/** Which scenarios of the operator's fast-check makes up. */
import fc from "fast-check";
import {
  KEYS,
  TOPICS,
  type Disorder,
  type Join,
  type KeyEdit,
  type OperatorAction,
  type PolicyEdit,
  type Telling,
} from "./actions.ts";

/** The most episodes a scenario has; most are one action. */
const MAX_EPISODES = 45;

export interface OperatorScenario {
  readonly policy: PolicyEdit;
  /** How far the key store's clock is ahead of the hub's. */
  readonly skewMs: number;
  /** How old the answers are that the key desk has, in turn. */
  readonly deskAgesMs: readonly number[];
  readonly actions: readonly OperatorAction[];
}

const policy: fc.Arbitrary<PolicyEdit> = fc.record({
  publishers: fc.constantFrom("exclusive", "shared", "shared"),
  graceSeconds: fc.constantFrom(10, 10, 0),
  historyMessages: fc.constantFrom(0, 0, 5, 1000),
  historySeconds: fc.constantFrom(0, 0, 60, 7200),
  subscribers: fc.constantFrom("open", "token"),
  maxPublishers: fc.constantFrom(null, null, null, 2),
  maxSubscribers: fc.constantFrom(null, null, null, 3),
});

const topic = fc.nat({ max: TOPICS - 1 });
const key = fc.integer({ min: 1, max: KEYS });
const who = fc.oneof(
  { weight: 3, arbitrary: fc.constant<"domain">("domain") },
  { weight: 2, arbitrary: topic },
);
const tell = fc.constantFrom("at once", "at once", "at once", "late", "never", "never");

const joining = {
  topic,
  cachedSeconds: fc.constantFrom(null, null, 0, 1, 3, 14, 14, 600, 3000),
  // Within the tolerance of the hub's.
  lagMs: fc.constantFrom(0, 0, 1900),
  isSlow: fc.constantFrom(false, false, false, true),
};

const join: fc.Arbitrary<Join> = fc.oneof(
  fc.record({ type: fc.constant("publisher"), key, takeover: fc.boolean(), ...joining }),
  fc.record({
    type: fc.constant("subscriber"),
    by: fc.oneof(
      { weight: 4, arbitrary: key },
      { weight: 1, arbitrary: fc.constant<"token">("token") },
      { weight: 3, arbitrary: fc.constant<"nobody">("nobody") },
    ),
    since: fc.constantFrom("now", "earliest"),
    ...joining,
  }),
);

const edit: fc.Arbitrary<KeyEdit> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant("switch"), isActive: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("end"),
      inSeconds: fc.constantFrom(null, 1, 8, 40, 120, 4000),
    }),
  },
);

const times = fc.constantFrom(1, 1, 2, 3);

const disorder: fc.Arbitrary<Disorder> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("unreachable"),
      who,
      times,
      isDelivered: fc.boolean(),
      breaksStub: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("write"),
      after: fc.nat({ max: 5 }),
      times,
      isFatal: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("alarm"), who, times, isDone: fc.boolean() }),
  },
);

const action: fc.Arbitrary<OperatorAction> = fc.oneof(
  { weight: 18, arbitrary: join },
  {
    weight: 9,
    arbitrary: fc.record({
      type: fc.constant("publish"),
      topic,
      by: fc.nat({ max: 2 }),
      messages: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("leave"),
      topic,
      role: fc.constantFrom("publisher", "publisher", "subscriber"),
      by: fc.nat({ max: 2 }),
    }),
  },
  { weight: 9, arbitrary: fc.record({ type: fc.constant("change-key"), key, edit, tell }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("change-policy"), policy, tell }) },
  { weight: 3, arbitrary: fc.constant<OperatorAction>({ type: "deliver" }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("revoke"), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("key-store"),
      isUp: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("disorder"), disorder }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("evict"),
      who,
      sockets: fc.constantFrom("hibernate", "hibernate", "close"),
    }),
  },
  { weight: 1, arbitrary: fc.constant<OperatorAction>({ type: "abort" }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("alarm"), who }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("ticket"), topic, isUsed: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("advance"),
      seconds: fc.constantFrom(1, 1, 3, 3, 11, 40, 70, 400, 4000, 11_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("use"), topic }) },
  { weight: 4, arbitrary: fc.constant<OperatorAction>({ type: "settle" }) },
);

/** What a history has. */
interface Kept {
  readonly messages: number;
  readonly seconds: number;
}

/** An operator switches history on or off, mostly by hand, while somebody publishes. */
const historyEpisode: fc.Arbitrary<OperatorAction[]> = fc
  .record({
    topic,
    key,
    policy,
    first: fc.constantFrom({ messages: 0, seconds: 0 }, { messages: 1000, seconds: 0 }),
    second: fc.constantFrom({ messages: 1000, seconds: 0 }, { messages: 1000, seconds: 7200 }),
    tell: fc.constantFrom<Telling>("never", "never", "at once"),
    leaves: fc.boolean(),
    cachedSeconds: fc.constantFrom(5, 8, 14, 3000),
    end: fc.constantFrom<OperatorAction>({ type: "settle" }, { type: "advance", seconds: 1 }),
  })
  .map(({ topic: number, key: by, policy: rest, first, second, tell: told, ...more }) => {
    const change = ({ messages, seconds }: Kept): OperatorAction => ({
      type: "change-policy",
      policy: { ...rest, historyMessages: messages, historySeconds: seconds },
      tell: told,
    });
    const own = { topic: number, key: by, takeover: true, lagMs: 0, isSlow: false } as const;
    const pause: OperatorAction = { type: "advance", seconds: 3 };
    const leave: OperatorAction = { type: "leave", topic: number, role: "publisher", by: 0 };
    return [
      { type: "publisher", cachedSeconds: null, ...own },
      change(first),
      pause,
      change(second),
      ...(more.leaves ? [] : [pause]),
      { type: "publisher", cachedSeconds: more.leaves ? null : 600, ...own },
      { type: "publish", topic: number, by: 0, messages: 3 },
      ...(more.leaves ? [leave] : []),
      { type: "publisher", cachedSeconds: more.cachedSeconds, ...own },
      more.end,
    ];
  });

/** A key is switched off while a cache still has it, and somebody comes by it. */
const keyEpisode: fc.Arbitrary<OperatorAction[]> = fc
  .record({ key, edit, tell, join, cachedSeconds: fc.constantFrom(1, 3, 14) })
  .map(({ key: keyId, edit: change, tell: told, join: wish, cachedSeconds }) => {
    const by = wish.type === "publisher" ? { key: keyId } : { by: keyId };
    return [
      { type: "change-key", key: keyId, edit: change, tell: told },
      { ...wish, ...by, cachedSeconds },
    ];
  });

const episode: fc.Arbitrary<OperatorAction[]> = fc.oneof(
  { weight: 30, arbitrary: action.map((one) => [one]) },
  { weight: 1, arbitrary: historyEpisode },
  { weight: 3, arbitrary: keyEpisode },
);

/** Scenarios; a shrunken one has fewer and simpler actions. */
export const operatorScenarios: fc.Arbitrary<OperatorScenario> = fc.record({
  policy,
  skewMs: fc.constantFrom(0, 0, 1500, -1500, 90_000, -90_000),
  deskAgesMs: fc.array(fc.constantFrom(0, 0, 500, 3000, 9000, 14_000), {
    minLength: 1,
    maxLength: 5,
  }),
  actions: fc
    .array(episode, { minLength: 1, maxLength: MAX_EPISODES, size: "max" })
    .map((episodes) => episodes.flat()),
});
