/** docs/client.md: its recipes as they stand there, outside of a browser, and its table of options. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { workerdPath } from "../../bench/targets/workerd.ts";
import { databaseUrl, freshDomain, topicUrls } from "../../support/addresses.ts";
import { admin } from "../../support/admin.ts";
import { startBareHub } from "../../support/bare-hub.ts";
import { documentBlock, readDocument } from "../../support/document-block.ts";
import { adapt } from "../../support/document-commands.ts";
import { freePort } from "../../support/free-port.ts";
import { packageFolder } from "../../support/package-folder.ts";
import { startProgram, type Program } from "../../support/process.ts";
import { StreamPublisher, StreamSubscriber } from "../../support/stream-client.ts";

const { url, sqlEndpoint } = inject("hub");
const ROOT = join(import.meta.dirname, "../../..");
const HUB = url.replace(/^ws/, "http");
const PATIENCE = { timeout: 30_000 };
const KEPT = { history_messages: 10_000, history_seconds: 3600 };

interface Place {
  readonly key: string;
  readonly domain: string;
  readonly topic: string;
  readonly pub: string;
  readonly sub: string;
}

/** A topic of a domain of its own; `pub` has no key in it. */
async function freshPlace(policy: Parameters<typeof freshDomain>[0] = KEPT): Promise<Place> {
  const of = await freshDomain(policy);
  const { sub } = topicUrls(url, of);
  const topic = sub.split("/").at(-1) ?? "";
  return { ...of, topic, sub, pub: sub.replace("/ws/sub/", "/ws/pub/") };
}

function openPublisher({ pub, key }: Place): Promise<StreamPublisher> {
  return StreamPublisher.open(pub, { Authorization: `Bearer ${key}` });
}

function start(command: string, args: readonly string[], env: Record<string, string>): Program {
  const program = startProgram(command, args, env);
  onTestFinished(async () => void (await program.end("SIGKILL")));
  return program;
}

/** Runs a program that reads, by a runtime that is installed, from before a topic's first message to its end. */
async function expectReads(runtime: string, block: string, args: string[]): Promise<void> {
  const place = await freshPlace();
  const publisher = await openPublisher(place);
  await publisher.publish(["before"]);
  const folder = await packageFolder({
    "news.ts": block
      .replace("ws://localhost:8787/ws/sub/test/hello", place.sub)
      .replace("http://localhost:8787", HUB),
  });
  const env = { DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1" };
  const program = start(
    join(ROOT, "node_modules/.bin", runtime),
    [...args, join(folder, "news.ts")],
    env,
  );
  await program.line(/T.*Z before$/);
  await publisher.publish(["after"]);
  await program.line(/T.*Z after$/);
  publisher.sendFinish();
  expect(await program.exited).toBe(0);
}

/** The recipe's service, with an outbox of its own. It reads what it is written, or what the shell gives it. */
async function serviceOf({ key, pub }: Pick<Place, "key" | "pub">): Promise<{
  outbox: string;
  startService: (input?: string) => Program;
}> {
  const folder = await packageFolder({
    "service.mjs": await documentBlock("docs/client.md", "service.mjs"),
  });
  const outbox = join(folder, "outbox.json");
  const env = { TOPIC_URL: pub, KEY: key, OUTBOX: outbox };
  const command = `exec node ${join(folder, "service.mjs")}`;
  return { outbox, startService: (input = "") => start("sh", ["-c", `${command} ${input}`], env) };
}

test("docs/client.md has each option of the library", async () => {
  const types = await readFile(join(ROOT, "src/client/types.ts"), "utf8");
  const options = [...types.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name = ""]) => name);
  const [, table = ""] =
    /\| option \|.*\n.*\n((?:\|.*\n)+)/.exec(await readDocument("docs/client.md")) ?? [];
  const rows = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name = ""]) => name);
  expect(rows.toSorted()).toEqual(options.filter((name) => name !== "finish").toSorted());
});

describe.runIf(sqlEndpoint !== null)("docs/client.md", () => {
  test("reads in Deno", async () => {
    const block = await documentBlock("docs/client.md", "news.ts");
    await expectReads("deno", block, ["run", "--allow-net", "--allow-import"]);
  });

  test("reads in Bun", async () => {
    await expectReads("bun", await documentBlock("docs/client.md", "news.mjs"), []);
  });

  test("has a hook of React's", async () => {
    const place = await freshPlace();
    const publisher = await openPublisher(place);
    for (const message of ["1", "2", "3"]) await publisher.publish([message]);
    const folder = await packageFolder({
      "use-topic.js": await documentBlock("docs/client.md", "use-topic.js"),
      "package.json": '{ "type": "module" }',
      // As much of React as one component needs.
      "node_modules/react/package.json": '{ "type": "module", "exports": "./react.js" }',
      "node_modules/react/react.js": `
        const slots = [];
        let at = 0;
        let render = () => {};
        export function mount(component) {
          render = () => {
            at = 0;
            component();
          };
          render();
        }
        export function useState(initial) {
          const slot = (slots[at++] ??= { value: initial });
          const set = (next) => {
            slot.value = typeof next === "function" ? next(slot.value) : next;
            queueMicrotask(render);
          };
          return [slot.value, set];
        }
        export function useEffect(effect, inputs) {
          const slot = (slots[at++] ??= {});
          if (slot.inputs?.every((input, n) => input === inputs[n])) return;
          slot.undo?.();
          Object.assign(slot, { inputs, undo: effect() });
        }`,
      "component.js": `
        import { mount } from "react";
        import { useTopic } from "./use-topic.js";
        let url = process.env.TOPIC_URL;
        function component() {
          const { messages, error } = useTopic(url, 2);
          console.log(JSON.stringify({ messages, error: error?.slug ?? null }));
        }
        mount(component);
        process.stdin.on("data", () => {
          url += "?gap=nonsense";
          component();
        });`,
    });
    const program = start("node", [join(folder, "component.js")], { TOPIC_URL: place.sub });
    await program.line(/^\{"messages":\["2","3"\],"error":null\}$/);
    await publisher.publish(["4"]);
    await program.line(/^\{"messages":\["3","4"\],"error":null\}$/);
    const state = async (): Promise<unknown> => (await admin("GET", path)).body;
    const path = `${place.domain}/topics/${place.topic}`;
    expect(await state()).toMatchObject({ subscribers: 1 });
    // Another address: the subscription to the one before is closed.
    program.write("\n");
    await program.line(/^\{"messages":\[\],"error":"invalid-parameter"\}$/);
    await expect.poll(state, PATIENCE).toMatchObject({ subscribers: 0 });
  });

  test("has a Node service that loses nothing: killed while there is no hub, it publishes later", async () => {
    const port = await freePort();
    const hubUrl = `ws://127.0.0.1:${port}`;
    const { domain, key } = await freshDomain(KEPT);
    const { outbox, startService } = await serviceOf({ key, pub: `${hubUrl}/ws/pub/${domain}/t` });
    const lines = Array.from({ length: 100 }, (_, n) => String(n));
    const service = startService();
    service.write(`${lines.join("\n")}\n`);
    await expect.poll(() => readFile(outbox, "utf8").catch(() => ""), PATIENCE).toContain('"99"');
    await service.end("SIGKILL");

    const own = await startBareHub({ port, env: { DATABASE_URL: databaseUrl() } });
    onTestFinished(() => own.stop());
    await startService("</dev/null").exited;
    const reader = await StreamSubscriber.open(`${hubUrl}/ws/sub/${domain}/t?since=earliest`);
    expect(await reader.messages(100)).toEqual(lines);
    expect(JSON.parse(await readFile(outbox, "utf8"))).toEqual([]);
  });

  test("has a Node service that publishes nothing twice, whenever it is killed", async () => {
    const place = await freshPlace();
    const { startService } = await serviceOf(place);
    const lines = Array.from({ length: 1500 }, (_, n) => String(n));
    for (const from of [0, 500, 1000]) {
      const service = startService();
      service.write(`${lines.slice(from, from + 500).join("\n")}\n`);
      await service.line(new RegExp(`^published ${from + 20}$`));
      await service.end("SIGKILL");
    }
    expect(await startService("</dev/null").exited).toBe(0);
    const cursor = await (await openPublisher(place)).publish(["end"]);
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    const published = (await reader.until(cursor)).slice(0, -1).map(Number);
    expect(published).toEqual([...new Set(published)].toSorted((one, other) => one - other));
    expect(published).toEqual(expect.arrayContaining([20, 520, 1020]));
  });

  test("has a Worker that publishes and reads", async () => {
    const place = await freshPlace({ ...KEPT, publishers: "shared" });
    const block = await documentBlock("docs/client.md", "worker.js");
    const own = {
      "/domains/test/topics/hello/": `/domains/${place.domain}/topics/${place.topic}/`,
      "/ws/sub/test/hello": `/ws/sub/${place.domain}/${place.topic}`,
    };
    const folder = await packageFolder({ "worker.js": adapt(block, own) });
    await build({
      entryPoints: [join(folder, "worker.js")],
      bundle: true,
      format: "esm",
      outfile: join(folder, "bundle.js"),
    });
    const { compatibility_date: date = "" } =
      /^compatibility_date = "(?<compatibility_date>.*)"$/m.exec(
        await readFile(join(ROOT, "wrangler.toml"), "utf8"),
      )?.groups ?? {};
    const config = await packageFolder({
      "bundle.js": await readFile(join(folder, "bundle.js"), "utf8"),
      "config.capnp": `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "worker", address = "127.0.0.1:0", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [(name = "bundle.js", esModule = embed "bundle.js")],
  compatibilityDate = "${date}",
  bindings = [(name = "HUB", text = "${HUB}"), (name = "KEY", text = "${place.key}")],
);`,
    });
    const args = ["serve", "--control-fd=1", join(config, "config.capnp")];
    const worker = start(workerdPath, args, {});
    const [, port] = await worker.line(/"socket":"worker","port":(\d+)/);
    const address = `http://127.0.0.1:${port}/`;
    const posted = await fetch(address, { method: "POST", body: "by a Worker" });
    expect(await posted.json()).toMatchObject({ count: 1 });
    const read = await (await fetch(address)).text();
    expect(read).toBe("by a Worker");
  });
});
