/** A topic of a hub: its arguments, and where it is for sockets and for plain HTTP (PROTOCOL.md, 1.1, 17.1). */
import { Argument } from "commander";
import { parsed, parseTopicName } from "../input/arguments.ts";

/** Which hub, which topic. */
export interface TopicAddress {
  /** `https://HOST`, without a slash at its end. */
  readonly hubUrl: string;
  readonly domain: string;
  readonly topic: string;
}

/** The topic a command is about. */
export function topicArgument(): Argument {
  return new Argument("<topic>", "the topic").argParser(parsed(parseTopicName));
}

/** Where sockets are opened. */
export function socketUrl(role: "pub" | "sub", { hubUrl, domain, topic }: TopicAddress): string {
  const path = [role, domain, topic].map(encodeURIComponent).join("/");
  return `${hubUrl.replace(/^http/, "ws")}/ws/${path}`;
}

/** Where messages are posted and read. */
export function messagesUrl({ hubUrl, domain, topic }: TopicAddress): string {
  const [domainPart, topicPart] = [domain, topic].map(encodeURIComponent);
  return `${hubUrl}/v1/domains/${domainPart}/topics/${topicPart}/messages`;
}
