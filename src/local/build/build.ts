/**
 * `npm run build`: the client library and the command line into `dist`, as the hub serves and npm packs them. wrangler
 * runs it before it bundles the Worker (wrangler.toml). Nothing that is built is committed.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { failWith } from "../fail.ts";
import { buildCli } from "./build-cli.ts";
import { buildClient, type BuiltClient } from "./build-client.ts";
import { BUILD_HELP, parseBuildOptions } from "./build-options.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** What is told of a build. */
interface Summary {
  readonly version: string;
  /** Of the module that never changes. */
  readonly url: string;
  readonly integrity: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  readonly typesBytes: number;
  /** `null` where it was not built. */
  readonly cliBytes: number | null;
}

async function main(): Promise<void> {
  const options = parseBuildOptions(process.argv.slice(2));
  if (options.help) return console.log(BUILD_HELP);
  const [client, cliBytes] = await Promise.all([
    buildClient(ROOT),
    options.client ? null : buildCli(ROOT),
  ]);
  const summary = summarize(client, cliBytes, options.hub);
  console.log(options.json ? JSON.stringify(summary) : describe(summary));
}

function summarize(client: BuiltClient, cliBytes: number | null, hub: URL): Summary {
  return {
    version: client.version,
    url: new URL(client.path, hub).href,
    integrity: client.integrity,
    bytes: Buffer.byteLength(client.code),
    gzipBytes: gzipSync(client.code, { level: 9 }).length,
    typesBytes: Buffer.byteLength(client.types),
    cliBytes,
  };
}

function describe({ url, integrity, cliBytes, ...sizes }: Summary): string {
  const library = `dist/client/client.js    ${sizes.bytes} bytes, ${sizes.gzipBytes} with gzip`;
  // Others run it so: they have enough to say.
  if (cliBytes === null) return library;
  const map = { imports: { "wspubsub/client": url }, integrity: { [url]: integrity } };
  return [
    library,
    `dist/client/client.d.ts  ${sizes.typesBytes} bytes`,
    `dist/cli                 ${cliBytes} bytes`,
    "",
    "To pin this version of the library in a page:",
    `<script type="importmap">${JSON.stringify(map)}</script>`,
  ].join("\n");
}

main().catch(failWith);
