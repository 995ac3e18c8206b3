/**
 * Objects change their version one by one, up to five minutes apart, so for one version each understands the one
 * before. A method that was changed got a new name. A caller that hears that there is no such method calls the old one.
 */

/** Whether an object of the version before could not read the admission of a publisher by a token. */
export function cannotReadTokenPublishers(error: unknown): boolean {
  // Valibot's words for the version that the admission has.
  return error instanceof Error && error.message.includes("Expected 1 but received 2");
}

/** Whether a call failed because the other side runs a version that does not have the method. */
export function lacksMethod(error: unknown): boolean {
  // The runtime's words, and those of the tests' runner; the failure bears no other mark.
  return (
    error instanceof TypeError && error.message.startsWith("The RPC receiver does not implement ")
  );
}
