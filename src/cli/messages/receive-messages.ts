/** `wspubsub sub`: the messages of a topic on stdout, as fast as somebody reads them; all else on stderr. */
import { subscribe, type Received, type SubscribeOptions } from "../../client/main.ts";
import { UserError } from "../../local/fail.ts";
import { beforeTheEnd } from "../before-the-end.ts";
import type { Session } from "../session.ts";
import { linkOptions, type Credential } from "./credential.ts";
import { formatReceived, type MessageForm } from "./format-received.ts";
import { LinkWatch } from "./link-watch.ts";
import { socketUrl, type TopicAddress } from "./topic-address.ts";

/** What to receive, and how. */
export interface ReceiveOptions extends Pick<SubscribeOptions, "since" | "waitSeconds"> {
  readonly credential: Credential | null;
  readonly form: MessageForm;
  /** It ends after so many messages. */
  readonly count?: number | undefined;
  readonly reconnects: boolean;
}

/** Receives until there is an end; throws a UserError where that is not one that the publisher wanted. */
export async function receiveMessages(
  session: Session,
  address: TopicAddress,
  { credential, form, count = Infinity, reconnects, since, waitSeconds }: ReceiveOptions,
): Promise<void> {
  const watch = new LinkWatch({ ...address, does: "subscribe", session, reconnects });
  const subscription = subscribe(socketUrl("sub", address), {
    ...linkOptions(credential),
    ...watch.linkOptions,
    since,
    waitSeconds,
  });
  watch.watch(subscription);
  let reason: string | null = null;
  subscription.addEventListener("gap", ({ detail: { from, to } }) =>
    session.note(`Messages are missing: those after ${from}, up to ${to}.`),
  );
  subscription.addEventListener("end", ({ detail }) => {
    ({ reason } = detail);
    session.note(`The topic has ended: ${reason ?? "the hub does not say why"}.`);
  });
  /** Where to begin again for a message that is not written yet. */
  let before = since ?? null;
  let isWriting = false;
  const stopListening = beforeTheEnd(() => describePlace(isWriting ? before : subscription.cursor));
  try {
    await take(subscription);
  } catch (error) {
    throw watch.explain(error);
  } finally {
    stopListening();
  }
  if (reason === "deleted") throw new UserError("The topic was deleted: this may not be all of it");

  async function take(messages: AsyncIterable<Received>): Promise<void> {
    let left = count;
    for await (const received of messages) {
      isWriting = true;
      await session.write(formatReceived(received, form));
      isWriting = false;
      before = received.cursor;
      left -= 1;
      if (left <= 0) return;
    }
  }
}

function describePlace(cursor: string | null): string {
  return cursor === null ? "" : `--since=${cursor} goes on from here`;
}
