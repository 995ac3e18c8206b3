/**
 * Whether a process that left a file behind still runs.
 */

/** Whether another process has this id. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // ESRCH: there is no such process. EPERM: there is, and it is somebody else's.
    return !(cause instanceof Error && "code" in cause && cause.code === "ESRCH");
  }
}
