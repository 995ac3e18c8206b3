/** The way to a hub, below HTTP: its name, a connection, TLS and the certificate. Each is bounded in time. */
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { fine, LIMIT_MS, wrong, type Check } from "./check.ts";

/** Days before its end at which a certificate should long have been renewed. */
const RENEWAL_DAYS = 7;
const DAY_MS = 86_400_000;

const NO_ANSWER = `no answer within ${LIMIT_MS / 1000} seconds`;

/** What TLS says of a server that is not trusted, or is none. */
const TLS_FAULTS: readonly (readonly [pattern: RegExp, detail: string, remedy: string])[] = [
  [/^CERT_HAS_EXPIRED$/, "the certificate has expired", "renew it, and check this machine's clock"],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "the certificate is another host's",
    "check the host's name in the URL",
  ],
  [
    /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/,
    "the certificate is signed by nobody whom this machine trusts",
    "NODE_EXTRA_CA_CERTS names a file with an authority of your own; else something on the way has put its own there",
  ],
  [
    /WRONG_VERSION|EPROTO|PACKET_LENGTH|RECORD/,
    "what listens there does not speak TLS",
    "begin the URL with http:// if the hub is on this machine, or check the port",
  ],
];

/** Whether a host's name is known. */
export async function checkDns({ hostname }: URL): Promise<Check> {
  const host = hostOf(hostname);
  if (isIP(host) !== 0) return fine("dns", `${host} is an address`);
  try {
    const addresses = await within(lookup(host, { all: true }));
    return fine("dns", `${host} is ${addresses.map(({ address }) => address).join(", ")}`);
  } catch (error) {
    // Whatever the resolver says, or that it says nothing.
    const remedy = "check the host's name in the URL, and this machine's network";
    return wrong("dns", `${host} is not known (${reasonOf(error)})`, remedy);
  }
}

/** Whether something listens. */
export async function checkTcp(url: URL): Promise<Check> {
  const { port, host } = target(url);
  const socket = connectTcp(port, host);
  try {
    await opened(socket, "connect");
    return fine("tcp", `port ${port} is open`);
  } catch (error) {
    // ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH and the like.
    const reason = reasonOf(error);
    return reason === "ECONNREFUSED"
      ? wrong("tcp", `nothing listens at port ${port}`, "start the hub, or check the URL's port")
      : wrong("tcp", `no connection to port ${port} (${reason})`, "look for a firewall on the way");
  } finally {
    socket.destroy();
  }
}

/** Whether it is who it says, and for how long. */
export async function checkTls(url: URL): Promise<Check> {
  const { port, host } = target(url);
  const socket = connectTls({ port, host, ...(isIP(host) === 0 && { servername: host }) });
  try {
    await opened(socket, "secureConnect");
    const end = new Date(socket.getPeerCertificate().valid_to);
    const days = Math.floor((end.getTime() - Date.now()) / DAY_MS);
    const detail = `the certificate is good until ${end.toISOString().slice(0, 10)}`;
    return days < RENEWAL_DAYS ? wrong("tls", detail, "renew it") : fine("tls", detail);
  } catch (error) {
    const reason = reasonOf(error);
    const [, detail, remedy] = TLS_FAULTS.find(([pattern]) => pattern.test(reason)) ?? [];
    return wrong("tls", detail ?? `TLS fails (${reason})`, remedy ?? null);
  } finally {
    socket.destroy();
  }
}

async function opened(socket: Socket, event: string): Promise<void> {
  // What comes after the time is over is nobody's.
  socket.on("error", () => {});
  await within(once(socket, event));
}

/** A promise, or a failure when the time is over. */
async function within<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(NO_ANSWER)), LIMIT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function target({ protocol, port, hostname }: URL): {
  readonly port: number;
  readonly host: string;
} {
  const byDefault = protocol === "https:" ? 443 : 80;
  return { port: port === "" ? byDefault : Number(port), host: hostOf(hostname) };
}

/** Without the brackets that a URL puts around IPv6. */
function hostOf(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
