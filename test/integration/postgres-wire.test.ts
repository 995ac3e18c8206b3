/**
 * The Postgres of a laptop speaks Postgres's own protocol on the port of its HTTP: psql and programs use it
 * beside the hub, which none of them holds up for long, and what they send that is wrong harms only themselves.
 */
import { neon, neonConfig } from "@neondatabase/serverless";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type LocalPostgres } from "../support/local-postgres.ts";
import { needs, requireProgram } from "../support/optional-program.ts";

let postgres: LocalPostgres;
let http: ReturnType<typeof neon<false, false>>;
const clients: pg.Client[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  neonConfig.fetchEndpoint = postgres.endpoint;
  http = neon(postgres.url);
  await http`create table numbers (n int)`;
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
  for (const socket of sockets.splice(0)) socket.destroy();
  await http`delete from numbers`;
});

afterAll(() => postgres.stop());

describe("psql", needs("postgresql"), () => {
  test("opens the printed URL", async () => {
    const { stdout } = await psql("-Atc", "select domain from apikeys order by domain");
    expect(stdout).toBe("shared\ntest\n");
  });

  test("describes a table", async () => {
    const { stdout } = await psql("-c", String.raw`\d apikeys`);
    expect(stdout).toContain('"apikeys_pkey" PRIMARY KEY, btree (id)');
  });

  test("applies schema.sql", async () => {
    const { stdout } = await psql("-f", "schema.sql");
    expect(stdout).toBe("DO\n");
  });

  test("has the settings of its environment", async () => {
    const env = { PGTZ: "Europe/Berlin", PGOPTIONS: "-c datestyle=german --lock-timeout=7s" };
    const { stdout } = await psql(
      { env },
      "-Atc",
      "select concat_ws(' ', current_setting('timezone'), current_setting('datestyle'), " +
        "current_setting('lock_timeout'))",
    );
    expect(stdout).toBe("Europe/Berlin German, DMY 7s\n");
  });

  test.each([
    ["copy numbers from stdin"],
    [String.raw`\copy numbers from /dev/null`],
    ["begin; copy numbers from stdin; select 1"],
  ])("%j is refused", async (command) => {
    const failure = await psql("-c", command).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining("use INSERT") });
    expect(await http`select 1 as v`).toEqual([{ v: 1 }]);
  });

  test("copies out", async () => {
    const { stdout } = await psql("-c", "copy (select 'copy x from stdin') to stdout");
    expect(stdout).toBe("copy x from stdin\n");
  });

  test("is told of a database that is not there", async () => {
    const failure = await psql("-d", postgres.url.replace(/postgres$/, "other")).catch(String);
    expect(failure).toContain('database "other" does not exist');
  });

  test("is told of a setting that is not there", async () => {
    const env = { PGOPTIONS: "-c no_such_thing=1" };
    const failure = await psql({ env }, "-c", "select 1").catch(String);
    expect(failure).toContain('unrecognized configuration parameter "no_such_thing"');
  });
});

describe("beside each other", () => {
  test("statements with parameters, from three clients and over HTTP at once, are all right", async () => {
    const three = await Promise.all([connectClient(), connectClient(), connectClient()]);
    const wrong: unknown[] = [];
    async function ask(n: number, run: () => Promise<unknown>): Promise<void> {
      const got = await run();
      if (got !== `${n}`) wrong.push([n, got]);
    }
    const overWire = three.map(async (client, i) => {
      for (let n = i; n < 200; n += 3) {
        const text = "select $1::text || '' as v";
        // One with a name is parsed once a client, and its name is the same for all.
        const named = n % 2 === 0 ? { name: "same" } : {};
        await ask(n, async () => (await client.query({ ...named, text, values: [n] })).rows[0].v);
      }
    });
    const overHttp = Array.from({ length: 200 }, async (_, i) =>
      ask(-i, async () => (await http`select ${-i}::text as v`)[0]?.["v"]),
    );
    await Promise.all([...overWire, ...overHttp]);
    expect(wrong).toEqual([]);
  });

  test("a batch that waits for its Sync is not mixed with others'", async () => {
    const raw = await connectRaw();
    raw.write(Buffer.concat([message("P", "\0select 'mine'\0\0\0"), message("H", "")]));
    await raw.got("1");
    const other = http`select 'theirs' as v`;
    raw.write(
      Buffer.concat([
        message("B", "\0\0\0\0\0\0\0\0"),
        message("E", "\0\0\0\0\0"),
        message("S", ""),
      ]),
    );
    expect(await raw.got("Z")).toContain("mine");
    expect(await other).toEqual([{ v: "theirs" }]);
  });

  test("a statement that is described before it is run is not mixed with others'", async () => {
    const raw = await connectRaw();
    raw.write(Buffer.concat([message("P", "\0select 'mine'\0\0\0"), message("H", "")]));
    await raw.got("1");
    // Longer than the hub's question takes, and shorter than it would wait.
    const other = http`select 'theirs' as v`.then(() => "others first");
    const pause = new Promise((resolve) => setTimeout(resolve, 500, "its turn is kept"));
    expect(await Promise.race([other, pause])).toBe("its turn is kept");
  });

  test("an unnamed statement is its client's or nobody's", async () => {
    const raw = await connectRaw();
    raw.write(Buffer.concat([message("P", "\0select 'mine'\0\0\0"), message("S", "")]));
    await raw.got("Z");
    await http`select 'theirs'`;
    raw.write(
      Buffer.concat([
        message("B", "\0\0\0\0\0\0\0\0"),
        message("E", "\0\0\0\0\0"),
        message("S", ""),
      ]),
    );
    expect(await raw.got("Z")).toContain("C26000");
  });

  test("each client keeps its settings, its role and its prepared statements", async () => {
    const [one, other] = [await connectClient(), await connectClient()];
    await one.query("set timezone = 'Europe/Berlin'; set role pg_monitor");
    await one.query({ name: "p", text: "select 'one' as v" });
    await other.query("set timezone = 'Asia/Tokyo'");
    await other.query({ name: "p", text: "select 'other' as v" });
    await http`set timezone = 'Pacific/Auckland'`;
    const state = "select current_setting('timezone') as zone, current_user::text as who";
    expect((await one.query(state)).rows).toEqual([{ zone: "Europe/Berlin", who: "pg_monitor" }]);
    expect((await other.query(state)).rows).toEqual([{ zone: "Asia/Tokyo", who: "postgres" }]);
    expect(await http.query(state)).toEqual([{ zone: "UTC", who: "postgres" }]);
    expect((await one.query({ name: "p", text: "select 'one' as v" })).rows).toEqual([
      { v: "one" },
    ]);
    await one.end();
    const again = { name: "p", text: "select 'other' as v" };
    expect((await other.query(again)).rows).toEqual([{ v: "other" }]);
    expect(
      await http`select count(*)::int as n from pg_prepared_statements where name like 'c%'`,
    ).toEqual([{ n: 1 }]);
  });

  test("what a client leaves is gone with the last of them", async () => {
    const client = await connectClient();
    await client.query("create temp table left_over (n int); prepare left_over as select 1");
    await client.end();
    expect(
      await http`select to_regclass('left_over') as t, count(*)::int as n from pg_prepared_statements
        where name = 'left_over'`,
    ).toEqual([{ t: null, n: 0 }]);
  });
});

describe("a transaction", () => {
  test("is the client's alone until it ends", async () => {
    const client = await connectClient();
    await client.query("begin");
    await client.query("insert into numbers values (1)");
    const others = http`select count(*)::int as n from numbers`;
    await client.query("insert into numbers values (2)");
    await client.query("commit");
    expect(await others).toEqual([{ n: 2 }]);
  });

  test("that is idle holds up the hub for at most two seconds, and its client is told", async () => {
    const client = await connectClient({ application_name: "psql\u001b" });
    const told = once(client, "error");
    await client.query("begin");
    await client.query("insert into numbers values (1)");
    const begun = performance.now();
    expect(await http`select count(*)::int as n from numbers`).toEqual([{ n: 0 }]);
    expect(performance.now() - begun).toBeLessThan(2000);
    const [error] = await told;
    expect(error).toMatchObject({ code: "25P03", hint: expect.stringContaining("one backend") });
    await postgres.line(/^Postgres ended a transaction of psql\?: it was idle/);
  });

  test("that failed is ended likewise", async () => {
    const client = await connectClient();
    const told = once(client, "error");
    await client.query("begin");
    await expect(client.query("select 1/0")).rejects.toMatchObject({ code: "22012" });
    expect(await http`select 1 as v`).toEqual([{ v: 1 }]);
    expect(await told).toMatchObject([{ code: "25P03" }]);
  });

  test("may be idle for as long as nobody waits", async () => {
    const client = await connectClient();
    await client.query("begin");
    await client.query("select pg_sleep(1.1)");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await client.query("insert into numbers values (3)");
    await client.query("commit");
    expect(await http`select n from numbers`).toEqual([{ n: 3 }]);
  });

  test("is undone when its client goes, at once", async () => {
    const client = await connectClient();
    client.on("error", () => {});
    await client.query("begin");
    await client.query("insert into numbers values (1)");
    streamOf(client).destroy();
    expect(await http`select count(*)::int as n from numbers`).toEqual([{ n: 0 }]);
  });

  test("is undone when its client goes in the midst of a batch", async () => {
    const raw = await connectRaw();
    raw.write(
      Buffer.concat([
        message("P", "\0insert into numbers values (1)\0\0\0"),
        message("B", "\0\0\0\0\0\0\0\0"),
        message("E", "\0\0\0\0\0"),
        message("H", ""),
      ]),
    );
    await raw.got("C");
    raw.socket.destroy();
    expect(await http`select count(*)::int as n from numbers`).toEqual([{ n: 0 }]);
  });

  test("with many short statements that takes long is spoken of", async () => {
    const client = await connectClient({ application_name: "importer" });
    await client.query("begin");
    const waiting = http`select 1 as v`;
    let isOver = false;
    void waiting.then(() => (isOver = true));
    const said = postgres.line(/^Postgres is busy with a transaction of importer: the hub waits$/);
    for (let isSaid = false; !isSaid;) {
      const statement = client.query("select pg_sleep(0.2)").then(() => false);
      isSaid = await Promise.race([said.then(() => true), statement]);
    }
    expect(isOver).toBe(false);
    await client.query("commit");
    expect(await waiting).toEqual([{ v: 1 }]);
  });

  test("whose one statement runs for long is spoken of while it does", async () => {
    const client = await connectClient();
    const statement = client.query("select pg_sleep(3)").then(() => "over");
    const said = postgres.line(/^Postgres is busy with one statement of a client: the hub waits$/);
    expect(await Promise.race([said.then(() => "said"), statement])).toBe("said");
    expect(await statement).toBe("over");
  });

  test.each([
    "set idle_in_transaction_session_timeout = 50; begin",
    "set idle_session_timeout = 50",
    "set transaction_timeout = 50; begin",
  ])("%j does not end Postgres", async (text) => {
    const client = await connectClient();
    await client.query(text);
    // Longer than that timeout.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await client.query("select 1 as v")).rows).toEqual([{ v: 1 }]);
  });
});

describe("an error", () => {
  test("in a batch passes over what is left of it, and the next one works", async () => {
    const client = await connectClient();
    await expect(client.query("select $1::int", ["x"])).rejects.toMatchObject({ code: "22P02" });
    expect((await client.query("select $1::int as v", [1])).rows).toEqual([{ v: 1 }]);
  });

  test("in a message's own form is the client's, and the next one works", async () => {
    const raw = await connectRaw();
    raw.write(Buffer.concat([message("B", "\u0001\u0002\u0003"), message("S", "")]));
    expect(await raw.got("Z")).toContain("C08P01");
    raw.write(message("Q", "select 'fine'\0"));
    expect(await raw.got("Z")).toContain("fine");
  });

  test("a COPY from the client is one in the extended protocol, too", async () => {
    const client = await connectClient();
    const query = { text: "copy numbers from stdin", queryMode: "extended" };
    await expect(client.query(query)).rejects.toMatchObject({
      message: expect.stringContaining("INSERT"),
    });
    expect((await client.query("select 1 as v")).rows).toEqual([{ v: 1 }]);
  });
});

describe("what no client should send", () => {
  test.each([
    ["a huge length", Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]), "C08P01"],
    ["a length of nothing", Buffer.from([0x51, 0, 0, 0, 3]), "C08P01"],
    ["one byte more than may be", Buffer.from([0x51, 0, 0x98, 0x96, 0x81]), "C08P01"],
    ["an unknown message", message("z", ""), "invalid frontend message type 122"],
    ["a password", message("p", "x\0"), "invalid frontend message type 112"],
  ])("after the startup: %s", async (_, bytes, answer) => {
    const raw = await connectRaw();
    raw.write(bytes);
    expect(await raw.rest()).toContain(answer);
    expect(await http`select 1 as v`).toEqual([{ v: 1 }]);
  });

  test.each([
    ["a long startup", Buffer.from([0, 0, 0x27, 0x11, 0, 3, 0, 0]), /C08P01/],
    ["a short startup", Buffer.from([0, 0, 0, 7, 0, 3, 0]), /C08P01/],
    ["version 2", Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]), /unsupported frontend protocol 2\.0/],
    ["garbage with a letter", Buffer.from("GARBAGE\r\n\r\n"), /^HTTP\/1\.1 400/],
    ["garbage without one", Buffer.from([0x16, 3, 1, 2, 0, 1]), /^HTTP\/1\.1 400/],
    [
      "a cancel, which has no answer",
      Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]),
      /^$/,
    ],
  ])("at first: %s", async (_, bytes, answer) => {
    const raw = await open();
    raw.write(bytes);
    expect(await raw.rest()).toMatch(answer);
  });

  test("nothing, or half of something, is waited for for five seconds", async () => {
    const halves = [[], [0], [0, 0, 0, 20, 0, 3], [0x47]].map(async (bytes) => {
      const raw = await open();
      raw.write(Buffer.from(bytes));
      // A letter is HTTP's, whose own limits apply.
      if (bytes[0] === 0x47) raw.socket.destroy();
      return raw.rest();
    });
    expect(await Promise.all(halves)).toEqual(["", "", "", ""]);
  });

  test("more clients than there may be are told so", async () => {
    const all = Array.from({ length: 50 }, () => connectClient());
    await Promise.all(all);
    await expect(connectClient()).rejects.toMatchObject({ code: "53300" });
    expect(await http`select 1 as v`).toEqual([{ v: 1 }]);
  });

  test("encryption is declined, and a newer version negotiated", async () => {
    const raw = await open();
    raw.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
    expect(await raw.got("N", 1)).toBe("N");
    const body = Buffer.from("user\0any\0database\0postgres\0_pq_.more\0x\0\0");
    const head = Buffer.from([0, 0, 0, body.length + 8, 0, 3, 0, 2]);
    raw.write(Buffer.concat([head, body]));
    expect(await raw.got("Z")).toMatch(/^v[^]*_pq_\.more\0R/);
  });
});

async function psql(
  ...args: readonly (string | { env: Record<string, string> })[]
): Promise<{ stdout: string; stderr: string }> {
  const texts = args.filter((arg) => typeof arg === "string");
  const env = args.find((arg) => typeof arg !== "string")?.env;
  const where = texts.includes("-d") ? [] : ["-d", postgres.url];
  const run = promisify(execFile)(
    join(requireProgram("postgresql"), "psql"),
    ["-X", ...where, ...texts],
    { env: { ...process.env, ...env }, cwd: join(import.meta.dirname, "../.."), timeout: 30_000 },
  );
  run.child.stdin?.end();
  return run;
}

async function connectClient(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: postgres.url, ...config });
  clients.push(client);
  await client.connect();
  return client;
}

/** The socket under a client. */
function streamOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

function message(type: string, body: string): Buffer {
  const bytes = Buffer.from(body, "latin1");
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** A connection by hand. */
class Raw {
  readonly socket: Socket;
  #text = "";

  constructor(socket: Socket) {
    this.socket = socket;
    // A reset ends in a close, too.
    socket.on("error", () => {});
  }

  write(bytes: Buffer): void {
    if (bytes.length > 0) this.socket.write(bytes);
  }

  /** What comes up to a message of a type; by default one with a length. */
  async got(type: string, headBytes = 5): Promise<string> {
    for (;;) {
      const end = endOf(this.#text, type, headBytes);
      if (end !== null) {
        const text = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return text;
      }
      const [chunk]: unknown[] = await once(this.socket, "data");
      if (chunk instanceof Buffer) this.#text += chunk.toString("latin1");
    }
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<string> {
    const bytes = await buffer(this.socket).catch(() => Buffer.alloc(0));
    return bytes.toString("latin1");
  }
}

/** Where the first message of a type ends. */
function endOf(text: string, type: string, headBytes: number): number | null {
  if (headBytes === 1) return text.startsWith(type) ? 1 : null;
  for (let at = 0; at + 5 <= text.length;) {
    const end = at + 1 + Buffer.from(text.slice(at + 1, at + 5), "latin1").readUInt32BE(0);
    if (end > text.length) return null;
    if (text[at] === type) return end;
    at = end;
  }
  return null;
}

async function open(): Promise<Raw> {
  const socket = connect(postgres.port, "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  return new Raw(socket);
}

/** A connection that has been welcomed. */
async function connectRaw(): Promise<Raw> {
  const raw = await open();
  const body = Buffer.from("user\0any\0database\0postgres\0\0");
  raw.write(Buffer.concat([Buffer.from([0, 0, 0, body.length + 8, 0, 3, 0, 0]), body]));
  await raw.got("Z");
  return raw;
}
