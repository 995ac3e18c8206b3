/** PROTOCOL.md, 1.8 and 12.1: what is agreed on, and what never is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CREDENTIAL_PREFIX, parseOffer } from "../../../src/core/subprotocol.ts";

/** `{"alg":"HS256"}`, with nothing behind it. */
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.AA";

describe("parseOffer", () => {
  test.each([
    [null, null, []],
    ["", null, []],
    ["chat, superchat", null, []],
    ["wspubsub.v1", "wspubsub.v1", []],
    ["WSPUBSUB.V1", null, []],
    ["chat,wspubsub.raw , wspubsub.v1", "wspubsub.raw", []],
    [`wspubsub.v1, ${CREDENTIAL_PREFIX}a2V5`, "wspubsub.v1", ["a2V5"]],
    [`${CREDENTIAL_PREFIX}a2V5`, null, ["a2V5"]],
    [`${CREDENTIAL_PREFIX}YQ,${CREDENTIAL_PREFIX}Yg`, null, ["YQ", "Yg"]],
    [`wspubsub.v1, ${TOKEN}`, "wspubsub.v1", [TOKEN]],
    [`${CREDENTIAL_PREFIX}${TOKEN}`, null, [TOKEN]],
    [`${TOKEN}, ${CREDENTIAL_PREFIX}YQ`, null, [TOKEN, "YQ"]],
    ["a.b.c", null, []],
  ])("1.8 reads %j", (header, agreed, credentials) => {
    expect(parseOffer(header)).toEqual({ agreed, credentials });
  });

  test("12.3 never agrees on a credential, whatever is offered", () => {
    const name = fc.oneof(
      fc.constantFrom("wspubsub.v1", "wspubsub.raw", `${CREDENTIAL_PREFIX}a2V5`, TOKEN),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(name), (names) => {
        const { agreed } = parseOffer(names.join(", "));
        expect([null, "wspubsub.v1", "wspubsub.raw"]).toContain(agreed);
      }),
    );
  });
});
