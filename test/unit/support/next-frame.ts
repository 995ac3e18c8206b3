/** Frames of the hub's, as a client reads them. */
import { parseHubFrame, type HubFrame } from "../../../src/core/hub-frame.ts";
import type { Client } from "./sockets.ts";

/** The frame that must come next. */
export async function nextFrame(client: Client): Promise<HubFrame> {
  const received = await client.next();
  const frame = typeof received === "string" ? parseHubFrame(received) : null;
  if (frame?.ok !== true) throw new Error(`Not a frame: ${JSON.stringify(received)}`);
  return frame.value;
}
