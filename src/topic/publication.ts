/** What a publisher hands over at once, and what hears that it is in the log. */
import type { Cursor } from "../core/cursor.ts";
import type { Message } from "../core/message.ts";
import { joinMessageLists } from "../core/stream.ts";
import type { Owner } from "./owner.ts";

/** Messages that stay together: one raw frame, or one `publish` of the stream. */
export interface Publication {
  /** Empty where a publish was repeated, or refused: then there is only a receipt to give. */
  readonly messages: readonly Message[];
  /** The same as a JSON array, where it was written already. */
  readonly list?: string | undefined;
  /** `null` for a raw frame, of which nobody is told. */
  readonly receipt: Receipt | null;
}

/** What a publish is remembered by. */
export interface PublishName {
  readonly owner: Owner;
  readonly id: string;
  /** That of its content. */
  readonly fingerprint: number;
}

/** The promise of an answer, in its turn. */
export interface Receipt {
  /** `null` where there is nothing new to remember: a publish was repeated, or refused. */
  readonly name: PublishName | null;
  /** All that was published before it is in the log, and itself, up to a cursor. */
  ack(cursor: Cursor): void;
}

/** The list of all messages, `null` where not all were written. */
export function listOf(publications: readonly Publication[]): string | null {
  const lists: string[] = [];
  for (const { messages, list } of publications) {
    if (messages.length === 0) continue;
    if (list === undefined) return null;
    lists.push(list);
  }
  return joinMessageLists(lists);
}
