/** An object's refusals as problems: where the edge refuses for the same reason, in the same words. */
import type { RefusalSlug } from "../core/admission.ts";
import type { Problem } from "../core/problem.ts";
import { err, type Result } from "../core/result.ts";
import {
  refuseEndedToken,
  refuseKey,
  refuseKeyInPath,
  refuseTokenPublisher,
} from "./credential.ts";

/** The problem of a refusal. */
export function refuse(slug: RefusalSlug): Result<never, Problem> {
  switch (slug) {
    case "key-rejected":
      return refuseKey();
    case "key-in-path":
      return refuseKeyInPath();
    case "token-expired":
      return refuseEndedToken();
    case "token-publishers-off":
      return refuseTokenPublisher();
    case "topic-not-live":
      return err({ slug, detail: "Wait until a publisher starts the topic, then try again" });
    case "publisher-conflict":
      return err({
        slug,
        detail:
          "Try again when it has left, or displace it: ?takeover=1 (a token displaces none but its own subject)",
      });
    case "token-required":
      return err({ slug, detail: 'Send "Authorization: Bearer Token"' });
    case "too-many-publishers":
    case "too-many-subscribers":
    case "topic-full":
      return err({ slug, detail: "Try again when other sockets have left" });
    case "too-many-waiting":
      return err({ slug, detail: "Try again when others that wait for the topic have left" });
    case "too-many-topics":
      return err({ slug, detail: "Try again when other topics of the domain have ended" });
    case "topic-unavailable":
      return err({ slug, detail: "Try again in a few seconds" });
  }
}
