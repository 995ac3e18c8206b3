/** `npm run deploy`: wrangler's, with our checks before it. */
import { ACCEPT_LOSS, deployHub } from "./deploy-hub.ts";
import { failWith } from "./fail.ts";
import { refuseSwallowedOptions } from "./refuse-swallowed-options.ts";

const HELP = `npm run deploy -- [options of wrangler's, below]

  ${ACCEPT_LOSS}  Deploy without a question though JURISDICTION differs from the deployed hub's, which leaves all
                 that its objects have stored behind (docs/operate.md, Where the hub lives)

The first deployment needs secrets: npm run setup makes it.
`;

/** Without these, something else would be deployed than was meant. */
const DECISIVE = ["config", "env", "name", "dry-run", "help", "accept-loss", "secrets-file", "var"];

async function main(): Promise<void> {
  const options = process.argv.slice(2);
  refuseSwallowedOptions("deploy", DECISIVE, options);
  if (options.includes("--help") || options.includes("-h")) console.log(HELP);
  process.exitCode = await deployHub(options);
}

main().catch(failWith);
