/**
 * How many topics are in a workerd's memory: an object that is awake has its file of storage open, and one
 * that hibernates or has ended has not. Linux only (/proc).
 */
import { readdirSync, readlinkSync } from "node:fs";

/** The directory has the class's name (targets/workerd.ts), the file the object's id; others are workerd's own. */
const TOPIC_FILE = /\/Topic\/[\da-f]{64}\.sqlite$/;

export function countAwakeTopics(serverPid: number): number {
  const directory = `/proc/${serverPid}/fd`;
  const files = new Set<string>();
  for (const descriptor of readdirSync(directory)) {
    try {
      const file = readlinkSync(`${directory}/${descriptor}`);
      if (TOPIC_FILE.test(file)) files.add(file);
    } catch {
      // ENOENT: it was closed between the listing and the reading.
    }
  }
  return files.size;
}
