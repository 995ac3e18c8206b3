/** A command line that is wrong in a way that its parser cannot see; ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
