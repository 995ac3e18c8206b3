/**
 * Preloaded into wrangler (`node --import`): ends the process when the one that forked it is gone, however
 * it went. Without it a killed `npm run dev` would leave a hub behind that holds the port.
 */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
// Listening alone must not keep the process alive.
process.channel?.unref();
