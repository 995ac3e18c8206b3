/**
 * The address that an object owns, which its name says; but the runtime tells an object no name of more than 1,024
 * bytes (platform limits). Then the edge says it on every connect, and it is stored for those that are here by a
 * credential, until they have left. Invariant: a socket that presents nothing has nothing stored.
 */
import { addressOf, type Address } from "../core/address.ts";

const KEY = "name";

/** One object's address. */
export class OwnAddress {
  readonly #ctx: DurableObjectState;
  #name: string | undefined;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    this.#name = ctx.id.name;
  }

  /** Reads what outlived memory. */
  load(): void {
    this.#name ??= this.#ctx.storage.kv.get<string>(KEY);
  }

  /** Takes the edge's word for it. */
  learn(name: string | null): void {
    this.#name ??= name ?? undefined;
  }

  /** Makes it outlive memory where the runtime does not. */
  store(): void {
    const isForgotten = this.#ctx.id.name === undefined && this.#name !== undefined;
    if (isForgotten && this.#ctx.storage.kv.get(KEY) === undefined) {
      this.#ctx.storage.kv.put(KEY, this.#name);
    }
  }

  /** Ends that: nobody is left for whom it would have to be known. */
  forget(): void {
    const isStored = this.#ctx.id.name === undefined && this.#ctx.storage.kv.get(KEY) !== undefined;
    if (isStored) this.#ctx.storage.kv.delete(KEY);
  }

  /** The address; throws before anybody has said it. */
  get value(): Address {
    if (this.#name === undefined) throw new Error("Topic does not know its address yet");
    return addressOf(this.#name);
  }
}
