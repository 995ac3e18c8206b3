/** Loaded before a program: what it sends to a host of Neon's goes to NEON_ENDPOINT. */
import { env } from "node:process";

const { fetch } = globalThis;
const { NEON_ENDPOINT = "" } = env;

globalThis.fetch = (input, init) => {
  const { hostname } = new URL(input instanceof Request ? input.url : input);
  return fetch(hostname.endsWith(".neon.tech") ? NEON_ENDPOINT : input, init);
};
