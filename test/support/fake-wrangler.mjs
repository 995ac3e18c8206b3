/** wrangler as `npm run deploy` sees it: what is deployed comes out of the environment, and nothing is deployed. */
const args = process.argv.slice(2);
const [command, , version = ""] = args;
const deployed = JSON.parse(process.env["DEPLOYED"] ?? "null");

function answer() {
  if (command === "deployments") {
    return { id: "d", versions: deployed.map((_, number) => ({ version_id: `v${number}` })) };
  }
  const text = deployed[Number(version.slice(1))];
  return { resources: { bindings: text === null ? [] : [{ name: "JURISDICTION", text }] } };
}

if (command === "deploy") {
  process.stdout.write(`Deployed with ${JSON.stringify(args.slice(1))}\n`);
} else if (typeof deployed === "string") {
  process.stderr.write(`✘ [ERROR] ${deployed} (${JSON.stringify(args)})\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(JSON.stringify(answer()));
}
