/** `wspubsub pub`: publishes to a topic over a socket, each message once, through whatever cuts it off. */
import { openPublisher } from "../../client/main.ts";
import { UserError } from "../../local/fail.ts";
import { beforeTheEnd } from "../before-the-end.ts";
import { OutputError } from "../output/output.ts";
import { printableJsonLine } from "../output/printable.ts";
import { startProgress } from "../output/progress.ts";
import type { Session } from "../session.ts";
import { linkOptions, type Credential } from "./credential.ts";
import { LinkWatch } from "./link-watch.ts";
import { Outgoing, RefusedError, type Acknowledged, type Batch } from "./outgoing.ts";
import { socketUrl, type TopicAddress } from "./topic-address.ts";

/** What to publish, and how. */
export interface PublishOptions {
  readonly credential: Credential | null;
  readonly takeover: boolean;
  readonly finish: boolean;
}

/** Publishes all batches; throws a UserError that says what was not published. */
export async function publishMessages(
  session: Session,
  address: TopicAddress,
  batches: AsyncIterable<Batch>,
  { credential, takeover, finish }: PublishOptions,
): Promise<void> {
  const watch = new LinkWatch({ ...address, does: "publish", session, reconnects: true });
  const publisher = openPublisher(socketUrl("pub", address), {
    ...linkOptions(credential),
    ...watch.linkOptions,
    takeover,
  });
  watch.watch(publisher);
  const acknowledged = printReceipts(session);
  const outgoing = new Outgoing(publisher, acknowledged);
  const stopProgress = startProgress(session, () => outgoing.progress);
  const stopListening = beforeTheEnd(doubt);
  try {
    await Promise.race([publishAll(), outgoing.failed]);
    if (finish) await acknowledged((await publisher.finish()).cursor, 0);
    await publisher.close();
  } catch (error) {
    throw await explain(error);
  } finally {
    stopProgress();
    stopListening();
  }

  async function publishAll(): Promise<void> {
    try {
      for await (const batch of batches) await outgoing.publish(batch);
    } finally {
      // Also what stands before a line that cannot be read.
      await outgoing.settle();
    }
  }

  /** What nobody knows of, as a clause. */
  function doubt(): string {
    return watch.hasBeenIn ? outgoing.doubt : "Nothing was published";
  }

  /** What is under way beside a message that is refused is not lost. */
  async function explain(error: unknown): Promise<Error> {
    if (!(error instanceof RefusedError)) {
      if (error instanceof OutputError) return error;
      const { message } = watch.explain(error);
      return new UserError([message, doubt()].filter(Boolean).join(". "), { cause: error });
    }
    await outgoing.settle();
    return new UserError(error.message, { cause: error });
  }
}

/** With --json a line for each publish. Nobody needs to read them: a pipe that is closed stops no message. */
function printReceipts(session: Session): Acknowledged {
  let isRead = session.isJson;
  return async (cursor, messages) => {
    if (!isRead) return;
    try {
      await session.write(`${printableJsonLine({ cursor, count: messages })}\n`);
    } catch (error) {
      if (!(error instanceof OutputError && error.isClosedPipe)) throw error;
      isRead = false;
    }
  };
}
