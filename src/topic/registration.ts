/**
 * What an object and its domain know of each other: the domain which keys it holds and whether it is live, so that
 * it is told of what changes; the object what has changed of late. After a wake it must enter a key again before
 * it can rely on having heard of it. Knows nothing of sockets.
 */
import type { Address } from "../core/address.ts";
import type {
  Change,
  Entered,
  Entry,
  KeyChange,
  KeyStanding,
  PolicyChange,
} from "../core/change.ts";
import { hasEnded } from "../core/fresh-stub.ts";
import { lacksMethod } from "../core/version-before.ts";
import type { Domain } from "../domain/domain.ts";
import { domainStub, type StubEnv } from "../stubs.ts";

/** Stored while the domain does not know of all there is, since it could not be reached. */
const INCOMPLETE = "unregistered";

/** The registration of one object. */
export class Registration {
  readonly #kv: SyncKvStorage;
  readonly #env: StubEnv<"DOMAIN">;
  readonly #address: () => Address;
  /** This object's alone: calls of one stub arrive in their order. */
  #domain: DurableObjectStub<Domain> | null = null;
  /** Keys that the domain knows of. */
  readonly #keyIds: Set<number> = new Set();
  /** The life that the domain knows of. */
  #life: string | null = null;
  readonly #changes: Map<number, KeyChange> = new Map();
  #policy: PolicyChange | null = null;
  /** What was told to the domain last. */
  #told: Promise<unknown> = Promise.resolve();

  /** The address need not be known before something is asked. */
  constructor(kv: SyncKvStorage, env: StubEnv<"DOMAIN">, address: () => Address) {
    this.#kv = kv;
    this.#env = env;
    this.#address = address;
  }

  /** Whether the domain tells this object of what becomes of keys, and of policies in this life. */
  covers(life: string | null, keyIds: Iterable<number>): boolean {
    return (
      (life === null || life === this.#life) && [...keyIds].every((id) => this.#keyIds.has(id))
    );
  }

  /** The keys that the domain knows of, as far as memory reaches. */
  get keyIds(): number[] {
    return [...this.#keyIds];
  }

  /** Whether the domain must be told of everything again; outlives memory, and costs nothing while all is well. */
  get isIncomplete(): boolean {
    return this.#kv.get(INCOMPLETE) === true;
  }

  set isIncomplete(isIncomplete: boolean) {
    if (isIncomplete) this.#kv.put(INCOMPLETE, true);
    else this.#kv.delete(INCOMPLETE);
  }

  /**
   * Enters a life and keys, and hears what changed of late; `false`: the domain has too many topics, and does not
   * tell this one of anything. Rejects when the domain cannot be reached.
   */
  async enter({ life, keyIds, bound = null }: Omit<Entry, "holder">): Promise<boolean> {
    const entered = await this.#tell((domain, topic) =>
      domain
        .enter({ holder: `topic/${topic}`, life, keyIds, bound })
        .catch((error: unknown) => enterBefore(domain, topic, life, keyIds, error)),
    );
    if (entered.hasTooManyTopics === true) return false;
    for (const keyId of keyIds) this.#keyIds.add(keyId);
    if (life !== null) this.#life = life;
    for (const change of entered.changes) this.hear(change);
    if (entered.policy !== null) this.hear(entered.policy);
    return true;
  }

  /** Strikes a life that is over, with all of its keys but those in use; rejects when the domain cannot be reached. */
  async leave(life: string, keyIdsInUse: readonly number[]): Promise<void> {
    // Another one may have begun in the same step.
    if (this.#life === life) this.#life = null;
    await this.#tell((domain, topic) =>
      domain.leave(`topic/${topic}`, life, keyIdsInUse).catch((error: unknown) => {
        if (!lacksMethod(error)) throw error;
        return domain.unregister(topic, Date.now());
      }),
    );
  }

  /** The object has no use for a key any more, and the domain will strike it. */
  drop(keyId: number): void {
    this.#keyIds.delete(keyId);
  }

  /** Takes the domain's word; whether it is newer than what was known. */
  hear(change: Change): boolean {
    const known = change.type === "key" ? this.#changes.get(change.keyId) : this.#policy;
    if (known && known.number >= change.number) return false;
    if (change.type === "key") this.#changes.set(change.keyId, change);
    else this.#policy = change;
    return true;
  }

  /** Takes the word of a domain of version 0.1, or the key store's own, which has no number. */
  note(keyId: number, standing: KeyStanding, atMs: number): KeyChange {
    const number = this.#changes.get(keyId)?.number ?? 0;
    const change: KeyChange = { type: "key", keyId, standing, atMs, number };
    this.#changes.set(keyId, change);
    return change;
  }

  /** What was last heard of a key, `null` when nothing was. */
  changeOf(keyId: number): KeyChange | null {
    return this.#changes.get(keyId) ?? null;
  }

  /** The policy that was last heard of, `null` when none was. */
  get policy(): PolicyChange | null {
    return this.#policy;
  }

  /** Waits until the domain has heard what it was told last. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#told]);
  }

  /**
   * Asks over the one stub. One that was of use before may be broken for good by now, and the domain may have ended
   * meanwhile: then once more, over a new one.
   */
  async #tell<T>(
    question: (domain: DurableObjectStub<Domain>, topic: string) => Promise<T>,
    isLast: boolean = false,
  ): Promise<T> {
    const { domain, topic } = this.#address();
    const known = this.#domain;
    const stub = known ?? domainStub(this.#env, domain);
    this.#domain = stub;
    const answer = question(stub, topic);
    this.#told = answer;
    try {
      return await answer;
    } catch (error) {
      if (this.#domain === stub) this.#domain = null;
      if (isLast || (known === null && !hasEnded(error))) throw error;
      return this.#tell(question, true);
    }
  }
}

/** The same of a domain of version 0.1, which tells every live topic of every key. */
async function enterBefore(
  domain: DurableObjectStub<Domain>,
  topic: string,
  life: string | null,
  keyIds: readonly number[],
  error: unknown,
): Promise<Entered> {
  if (!lacksMethod(error)) throw error;
  const revocations =
    life === null ? await domain.revocations() : await domain.register(topic, false);
  const changes = revocations
    .filter(({ keyId }) => keyIds.includes(keyId))
    .map(({ keyId, atMs }): KeyChange => ({
      type: "key",
      keyId,
      standing: { type: "dead" },
      atMs,
      number: 0,
    }));
  return { changes, policy: null };
}
