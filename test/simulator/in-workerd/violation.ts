/** What the simulator throws when the hub broke a promise of PROTOCOL.md; anything else is a bug of its own. */
export class Violation extends Error {
  override readonly name = "Violation";
}
