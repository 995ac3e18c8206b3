/**
 * Objects change their version one by one, up to five minutes apart, so for one version each understands the one
 * before. A method that was changed got a new name; who calls it and hears that there is none calls the old one.
 */

/** Whether a call failed because the other side runs a version that does not have the method. */
export function lacksMethod(error: unknown): boolean {
  // The runtime's words, and those of the tests' runner; the failure bears no other mark.
  return (
    error instanceof TypeError && error.message.startsWith("The RPC receiver does not implement ")
  );
}
