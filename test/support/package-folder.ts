/** A folder in which programs find this package as their users do, by its name; built before the tests. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "./temporary-files.ts";

/** Makes one with these files; resolves with its path. */
export async function packageFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  const packages = join(folder, "node_modules");
  await mkdir(packages);
  await symlink(join(import.meta.dirname, "../.."), join(packages, "wspubsub"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}
