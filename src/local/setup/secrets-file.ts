/**
 * Hands secrets to wrangler in a file that nobody else can read. Invariant: the file is gone when this process has ended,
 * however that came; what a killed one left is removed by the next.
 */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "wspubsub-setup-";

/** A folder that is older is nobody's: no deployment takes so long. */
const MAX_AGE_MS = 3_600_000;

/** A folder of this process's own, for as long as it runs. */
export function privateFolder(): string {
  removeLeftOver();
  // Node makes it with mode 700.
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs something with a file that has the secrets, as JSON: wrangler expands `$` in the other form. */
export async function withSecretsFile<T>(
  folder: string,
  secrets: Readonly<Partial<Record<string, string>>>,
  run: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(folder, "secrets.json");
  try {
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600, flag: "wx" });
    return await run(file);
  } finally {
    rmSync(file, { force: true });
  }
}

/** Ends by `exit` on what would end the process without it. */
export function exitOnSignals(): void {
  for (const [signal, code] of [
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
}

function removeLeftOver(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    try {
      if (Date.now() - statSync(folder).mtimeMs < MAX_AGE_MS) continue;
      rmSync(folder, { recursive: true, force: true });
    } catch (cause) {
      // ENOENT: another run was faster. EPERM, EACCES: another user's.
      if (!(cause instanceof Error && "code" in cause)) throw cause;
    }
  }
}
