/** What all joins of a topic have in common: taking the socket, making it a member, telling the domain of its key. */
import type { Admission } from "../core/admission.ts";
import type { Grant } from "../core/grant.ts";
import type { Alarm } from "./alarm.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Members } from "./members.ts";
import type { OwnAddress } from "./own-address.ts";
import type { AcceptedSocket, Sockets } from "./sockets.ts";

/** The parts of a topic that they are made known to. */
export interface NewcomerParts {
  readonly address: OwnAddress;
  readonly alarm: Alarm;
  readonly keyWatch: KeyWatch;
  readonly members: Members;
  readonly sockets: Sockets;
}

/** The newcomers of one topic. */
export class Newcomers {
  readonly #parts: NewcomerParts;

  constructor(parts: NewcomerParts) {
    this.#parts = parts;
  }

  /** Accepts the admitted socket for hibernation; `null` when the runtime takes no more. */
  accept({ role, grant }: Admission): AcceptedSocket | null {
    if (role === "publisher" || grant !== null) this.#parts.address.store();
    return this.#parts.sockets.accept();
  }

  /** Makes it a member. */
  add(newcomer: Parameters<Members["add"]>[0]): void {
    newcomer.remember();
    this.#parts.members.add(newcomer, Date.now());
    if (newcomer.grant !== null) this.#parts.alarm.rearm();
  }

  /** Where the domain could not be reached, or another life has begun, it is told beside the handshake. */
  ensureRegistered(grant: Grant | null): void {
    const keyId = grant?.keyId ?? null;
    this.#parts.keyWatch.ensureRegistered(keyId === null ? [] : [keyId]);
  }
}
