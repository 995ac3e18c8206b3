/** The library's entry: what a program imports, and no more. Each half can be bundled without the other. */
export { HubError } from "./hub-error.ts";
export { openPublisher } from "./publisher.ts";
export { subscribe } from "./subscription.ts";
export type * from "./types.ts";
