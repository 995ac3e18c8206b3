/**
 * The Durable Object that owns one address: it takes what the runtime and other objects hand to it, and joins the
 * parts that see to it. Knows nothing of SQL or routes, and of keys no more than their number.
 * Invariant: what memory holds can be rebuilt from storage, `getWebSockets()` and attachments.
 */
import { DurableObject } from "cloudflare:workers";
import { decodeSegment } from "../core/address.ts";
import { ADMISSION_HEADER, NAME_HEADER, parseAdmission } from "../core/admission.ts";
import type { Change, Heard, KeyStanding } from "../core/change.ts";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE } from "../core/heartbeat.ts";
import type { Message } from "../core/message.ts";
import type { Post, PostAnswer } from "../core/post.ts";
import type { TopicState } from "../core/topic-state.ts";
import { Audience } from "../delivery/audience.ts";
import { logError } from "../log.ts";
import { Alarm } from "./alarm.ts";
import { Entrance } from "./entrance.ts";
import { FinishedLife } from "./finished-life.ts";
import { Forgetting } from "./forgetting.ts";
import { Intake } from "./intake.ts";
import { Joins } from "./joins.ts";
import { KeyWatch } from "./key-watch.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Log } from "./log.ts";
import { Members } from "./members.ts";
import { OwnAddress } from "./own-address.ts";
import { Pages, type PageAnswer } from "./pages.ts";
import { Posts } from "./posts.ts";
import { Publishes } from "./publishes.ts";
import { Sequencer } from "./sequencer.ts";
import { reportSockets, type SocketReport } from "./socket-report.ts";
import { Sockets } from "./sockets.ts";
import { Vacancy } from "./vacancy.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** What the operator may know of a topic. */
export interface TopicDescription {
  readonly phase: TopicState["phase"];
  readonly publishers: number;
  readonly subscribers: number;
}

/** What a topic's domain may know of it, to correct its register. */
export interface Audit {
  /** The life that is under way, `null` while the topic is vacant. */
  readonly life: string | null;
  /** The keys that sockets are here by. */
  readonly keyIds: readonly number[];
}

/** One topic. */
export class Topic extends DurableObject<Env> {
  readonly #address: OwnAddress;
  readonly #alarm: Alarm;
  readonly #audience: Audience;
  readonly #entrance: Entrance;
  readonly #forgetting: Forgetting;
  readonly #intake: Intake;
  readonly #joins: Joins;
  readonly #keyWatch: KeyWatch;
  readonly #lifecycle: Lifecycle;
  readonly #log: Log;
  readonly #members: Members;
  readonly #pages: Pages;
  readonly #posts: Posts;
  readonly #sockets: Sockets;
  readonly #vacancy: Vacancy;
  readonly #waitingRoom: WaitingRoom;
  #hasFailed = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // It survives hibernation but not a restart, and costs nothing to set again.
    ctx.setWebSocketAutoResponse(
      new WebSocketRequestResponsePair(HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE),
    );
    const { storage } = ctx;
    const address = (this.#address = new OwnAddress(ctx));
    const sockets = (this.#sockets = new Sockets(ctx));
    const log = (this.#log = new Log(storage));
    const alarm = (this.#alarm = new Alarm(ctx, () => this.#dueAtMs));
    const fail = (error: unknown): void => this.#fail("delivery-failed", error);
    const onIdle = (): void => this.#settle();
    const audience = (this.#audience = new Audience(log, {
      maxBacklogBytes: () => this.#lifecycle.policy.maxBacklogBytes,
      close: (socket, close) => this.#lifecycle.close(socket, close),
      onUnreadable: (messages) => logError({ event: "log-unreadable", messages }),
      onIdle,
      onFailure: fail,
    }));
    const sequencer = new Sequencer(log, audience.fanOut, {
      historyDelayMs: () => this.#lifecycle.policy.historyDelayMs,
      onAppended: () => alarm.rearm(),
      onLogFailure: (error) => this.#fail("log-failed", error),
      onIdle,
      onFailure: fail,
      hold: (work) => void ctx.blockConcurrencyWhile(work).catch(fail),
    });
    const finished = new FinishedLife(storage.kv);
    const publishes = new Publishes(log, sequencer, {
      findFinished: (owner, id) => finished.find(owner, id),
      finish: (by, answer) => this.#insist(() => this.#lifecycle.finish(by, answer)),
      finishAgain: (answer) => this.#insist(() => this.#lifecycle.finishAgain(answer)),
    });
    this.#intake = new Intake(publishes, sequencer);
    const members = (this.#members = new Members(audience, sockets));
    const keyWatch = (this.#keyWatch = new KeyWatch(members.grants, {
      ctx,
      env,
      address: () => address.value,
      life: () => this.#lifecycle.life,
      bound: () => this.#lifecycle.boundBy(null),
      closeAll: (all, close) => this.#lifecycle.closeAll(all, close),
      closeTokenPublishers: (close) => this.#lifecycle.closeTokenPublishers(close),
      adopt: (policy, isFinal) => void this.#lifecycle.adopt(policy, isFinal),
      looked: (lookedAtMs) => members.carry({ lookedAtMs }),
      rearm: () => alarm.rearm(),
    }));
    const isVacant = (): boolean => this.#lifecycle.state.phase === "vacant";
    const parts = {
      address,
      alarm,
      audience,
      ctx,
      finished,
      keyWatch,
      log,
      members,
      sequencer,
      sockets,
    };
    const vacancy = (this.#vacancy = new Vacancy({ ...parts, isVacant, onFailure: fail }));
    const waitingRoom = (this.#waitingRoom = new WaitingRoom(parts));
    const lifecycle = (this.#lifecycle = new Lifecycle({
      ...parts,
      storage,
      vacancy,
      waitingRoom,
      onFailure: fail,
    }));
    const entrance = (this.#entrance = new Entrance({ keyWatch, lifecycle }));
    this.#joins = new Joins({ ...parts, entrance, lifecycle, vacancy });
    this.#posts = new Posts({ ...parts, entrance, lifecycle, publishes });
    this.#pages = new Pages({ ...parts, lifecycle });
    this.#forgetting = new Forgetting({ ...parts, lifecycle, storage, vacancy });
    void ctx.blockConcurrencyWhile(async () => {
      try {
        address.load();
        keyWatch.load();
        await lifecycle.load(ctx.getWebSockets());
        vacancy.forgetAddress();
        // Of the log, too: what a clock wrote that was ahead would be due too late.
        log.keepTime(Date.now());
        await alarm.load();
      } catch (error) {
        // The runtime would drop the frame that woke the object, and hand it those behind it.
        this.#fail("log-failed", error);
        throw error;
      }
    });
  }

  /** Takes the socket of an upgrade that the edge admitted, or answers by header why not, or what it needs. */
  override async fetch(request: Request): Promise<Response> {
    const admission = parseAdmission(request.headers.get(ADMISSION_HEADER));
    this.#address.learn(decodeSegment(request.headers.get(NAME_HEADER) ?? "") || null);
    return this.#joins.join(admission);
  }

  /** Gives a page of the log to whom the edge admitted as a subscriber, or says why not, or what it needs. */
  page(admission: string, limit: number): PageAnswer {
    const parsed = parseAdmission(admission);
    if (parsed.role !== "subscriber") throw new Error("Expected a subscriber's admission");
    return this.#pages.read(parsed, limit);
  }

  /** Publishes what was posted to the edge, or says why not, or what it needs. */
  publish(post: Post): Promise<PostAnswer> {
    this.#address.learn(post.name);
    return this.#posts.publish(post);
  }

  /** Takes the domain's word for what an operator has changed. */
  applyChange(change: Change): Heard {
    this.#lifecycle.passTime();
    const heard =
      change.type === "key"
        ? this.#keyWatch.hear(change)
        : { closed: this.#lifecycle.hearPolicy(change), holdsKey: true };
    // A life that is about to begin counts: the domain was told of it.
    return { ...heard, isLive: this.#lifecycle.life !== null || this.#entrance.isLifeBeginning };
  }

  /** Says what the domain should know of it. */
  audit(): Audit {
    this.#lifecycle.passTime();
    return { life: this.#lifecycle.life, keyIds: this.#keyWatch.takeStock() };
  }

  /** Version 0.1: `applyChange` by a domain that does not number its changes. */
  applyKey(keyId: number, standing: KeyStanding): { closed: number; isLive: boolean } {
    this.#lifecycle.passTime();
    const closed = this.#keyWatch.hearBefore(keyId, standing);
    return { closed, isLive: this.#lifecycle.state.phase !== "vacant" };
  }

  /** Ends the topic, whoever is there; `false`: there was nothing to end. */
  end(): boolean {
    return this.#lifecycle.delete();
  }

  /** Forgets what was published, and lets the topic go on; says how many messages could be read. */
  forgetMessages(): number {
    return this.#insist(() => this.#forgetting.forget());
  }

  /** Says how the topic is, for the operator. */
  describe(): TopicDescription {
    const { life, state } = this.#lifecycle;
    const { publishers, subscribers } = this.#members;
    return {
      phase: life === null ? "vacant" : state.phase,
      publishers: publishers.size,
      subscribers: this.#isEndDue ? 0 : subscribers.size,
    };
  }

  /** Says who is connected, at most so many: publishers first, then subscribers that are replayed to. */
  sockets(limit: number): SocketReport[] {
    const { publishers, subscribers: members } = this.#members;
    const sockets = {
      publishers: publishers.values(),
      subscribers: this.#isEndDue ? [] : this.#audience.places(),
      members,
      head: this.#log.head.offset,
    };
    return reportSockets(sockets, limit);
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    const publisher = this.#members.publishers.get(socket);
    const nowMs = Date.now();
    if (publisher === undefined) {
      const subscriber = this.#members.subscribers.get(socket);
      if (subscriber !== undefined) subscriber.lastMessageMs = nowMs;
      this.#audience.hear(socket, message);
      return;
    }
    publisher.lastMessageMs = nowMs;
    this.#keyWatch.lookIfDue(nowMs);
    const close = this.#intake.take(publisher, message, this.#lifecycle.policy, nowMs);
    if (close !== null) this.#lifecycle.close(socket, close);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    const hadClose = this.#sockets.isDismissed(socket);
    // It is gone whatever can be answered, and is answered whatever comes of its leaving.
    try {
      this.#forget(socket);
    } finally {
      if (!hadClose) this.#sockets.answer(socket, code, reason);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#forget(socket);
  }

  override alarm(): void {
    this.#alarm.clear();
    this.#lifecycle.passTime();
    const nowMs = Date.now();
    this.#keyWatch.expire(nowMs);
    this.#vacancy.expire(nowMs);
    this.#waitingRoom.expire(nowMs);
    this.#lifecycle.ensureLogRemembered();
    this.#keyWatch.completeRegistration();
    // Whatever it fired for, the rest is still due.
    this.#alarm.rearm();
    this.#vacancy.forgetAddress();
  }

  /** Whether the grace has passed, and nobody has ended the topic yet. */
  get #isEndDue(): boolean {
    return this.#lifecycle.life === null && this.#lifecycle.state.phase === "grace";
  }

  /** When the first thing is due that the alarm is for, `null` when nothing is; asked once a batch. */
  get #dueAtMs(): number | null {
    const due = [
      this.#lifecycle.dueAtMs,
      this.#log.nextExpiryMs,
      this.#keyWatch.dueAtMs,
      this.#members.waiting.nextDeadlineMs,
    ];
    const known = due.filter((atMs) => atMs !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  /** Drops a socket that is gone. */
  #forget(socket: WebSocket): void {
    this.#lifecycle.leave(socket);
    const wasClosing = this.#sockets.forget(socket);
    this.#vacancy.forgetAddress();
    if (wasClosing) this.#vacancy.resetIfDeserted();
  }

  /** Nobody is answered whose word could not be stored. */
  #insist<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      // SQLITE_FULL and the like.
      this.#fail("log-failed", error);
      throw error;
    }
  }

  /** Everything is sent that was under way. */
  #settle(): void {
    this.#lifecycle.rememberLog();
    // What was replayed may go by its age now.
    this.#alarm.rearm();
  }

  /** Begins anew, since nothing that memory holds can be relied on: sockets are cut, and come back by cursor. */
  #fail(event: "log-failed" | "delivery-failed", error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const reason = error instanceof Error ? error.message : String(error);
    logError({ event, reason });
    this.ctx.abort(`${event}: ${reason}`);
  }
}
