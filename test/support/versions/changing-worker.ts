/**
 * A Worker that holds both versions and changes from one to the other while it runs, as a deployment does:
 * its objects begin anew with the other version's code on the storage that they have, while everything else goes on.
 */
import type { VersionName } from "./version.ts";

/** Why an object ended that began anew with another version; who called it meanwhile may log it. */
export const VERSION_CHANGED = "The version has changed";

/** Exported beside the objects, for `ctx.exports`. */
const ENTRYPOINTS = ["KeyDesk"];

/**
 * The module's source, beside `previous.js` and `current.js`. `POST /previous` or `POST /current` on its own
 * socket changes the version; the binding is that of its objects.
 */
export function changingWorker(
  { binding, className }: { readonly binding: string; readonly className: string },
  start: VersionName,
): string {
  return `
import * as current from "./current.js";
import * as previous from "./previous.js";
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

const versions = { previous, current };
const names = new Set();
let version = ${JSON.stringify(start)};

export class ${className} extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    names.add(ctx.id.name);
    return new (class extends versions[version].${className} {
      changeVersion() {
        this.ctx.abort(${JSON.stringify(VERSION_CHANGED)});
      }
    })(ctx, env);
  }
}
${ENTRYPOINTS.map(
  (name) => `
export class ${name} extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    return new versions[version].${name}(ctx, env);
  }
}`,
).join("\n")}

export default {
  async fetch(request, env) {
    version = new URL(request.url).pathname.slice(1);
    // Each call fails: the object that it reached is gone.
    await Promise.allSettled(
      [...names].map((name) => env.${binding}.getByName(name).changeVersion()),
    );
    return new Response(null, { status: 204 });
  },
};
`;
}
