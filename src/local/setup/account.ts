/** Whose account at Cloudflare is used: somebody must be logged in, and it must be clear which account is meant. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as v from "valibot";
import { canAsk, isYes } from "../ask.ts";
import { UserError } from "../fail.ts";
import type { HubConfig } from "../read-hub-config.ts";
import { askWrangler, WRANGLER, wranglerEnv } from "../wrangler.ts";

const LoginSchema = v.union([
  v.object({ loggedIn: v.literal(false) }),
  v.object({ loggedIn: v.literal(true), accounts: v.array(v.object({ name: v.string() })) }),
]);

const HOW_TO_LOG_IN =
  "Nobody is logged in at Cloudflare: run npx wrangler login (on a machine without a browser with\n" +
  "--browser=false), or set CLOUDFLARE_API_TOKEN";

/** Sees to it that wrangler may deploy; returns the account's name, or throws a UserError that says what to do. */
export async function findAccount(config: HubConfig, mayLogIn: boolean): Promise<string> {
  let accounts = await askAccounts();
  if (accounts === null && mayLogIn && canAsk()) {
    if (await isYes("Nobody is logged in at Cloudflare. Log in with a browser?")) {
      const login = spawn(process.execPath, [WRANGLER, "login"], {
        stdio: "inherit",
        env: wranglerEnv(),
      });
      await once(login, "close");
      accounts = await askAccounts();
    }
  }
  if (accounts === null) throw new UserError(HOW_TO_LOG_IN);
  const chosen = config.account_id ?? process.env["CLOUDFLARE_ACCOUNT_ID"];
  if (chosen !== undefined) return chosen;
  const [first, ...others] = accounts;
  if (first === undefined) throw new UserError("The login at Cloudflare opens no account");
  // On a terminal wrangler asks.
  if (others.length === 0 || canAsk()) return accounts.join(" or ");
  throw new UserError(
    `The login at Cloudflare opens ${accounts.length} accounts (${accounts.join(", ")}): ` +
      "set CLOUDFLARE_ACCOUNT_ID",
  );
}

/** The accounts' names; `null`: nobody is logged in. */
async function askAccounts(): Promise<readonly string[] | null> {
  const answer = await askWrangler(["whoami", "--json"]);
  const login = v.safeParse(LoginSchema, answer.type === "json" ? answer.value : null);
  if (login.success) {
    return login.output.loggedIn ? login.output.accounts.map(({ name }) => name) : null;
  }
  const reason = answer.type === "unknown" ? answer.reason : "wrangler did not say";
  throw new UserError(`Cannot tell who is logged in at Cloudflare: ${reason}`);
}
