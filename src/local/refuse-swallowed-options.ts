/**
 * `npm run dev --port 9000`: npm takes options before `--` for its own, and leaves of them a variable in the
 * environment. What was asked for would not be done, or, without `--dry-run`, more than that.
 */
import { UserError } from "./fail.ts";

/** npm has kept an option for itself. */
export class SwallowedError extends UserError {}

/** Throws a SwallowedError where npm has kept any option of a script for itself; `args` is what it has passed on. */
export function refuseSwallowedOptions(
  script: string,
  options: readonly string[],
  args: readonly string[],
): void {
  if (process.env["npm_lifecycle_event"] !== script) return;
  const swallowed = options.filter((option) => valueOf(option) !== undefined);
  const [option] = swallowed;
  if (option === undefined) return;
  const names = swallowed.map((name) => `--${name}`).join(" and ");
  throw new SwallowedError(
    `npm has kept ${names} for itself. Write -- before what is for ${script}:\n` +
      `  npm run ${script} -- ${swallowed.length > 1 ? "…" : describe(option, args)}`,
  );
}

/** npm has "--port=9000" as a value, and "--port 9000" as "true" and an argument. */
function describe(option: string, args: readonly string[]): string {
  const value = valueOf(option);
  const words = [`--${option}`, ...(value === "true" || value === "" ? [] : [value]), ...args];
  return args.length > 1 ? "…" : words.join(" ");
}

function valueOf(option: string): string | undefined {
  return process.env[`npm_config_${option.replaceAll("-", "_")}`];
}
