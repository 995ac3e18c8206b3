/** Where objects are made: which settings there are, and which go together. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/core/config.ts";
import { parsePlace } from "../../../src/core/place.ts";

const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc"];
const ALL_REGIONS = [...REGIONS, "afr", "me"];
const DATABASE_URL = "postgres://user:password@db.example.com/hub";
const WITHIN = { eu: ["weur", "eeur"], us: ["wnam", "enam"] };

describe("parsePlace", () => {
  test.each([
    ["nothing", {}],
    ["empty settings", { HOME_REGION: "", JURISDICTION: "" }],
    ["none", { JURISDICTION: "none" }],
  ])("%s: anywhere", (_, env) => {
    expect(parsePlace(env)).toEqual({ ok: true, value: { region: null, jurisdiction: null } });
  });

  test.each(ALL_REGIONS)("takes the region %s", (region) => {
    const value = { region, jurisdiction: null };
    expect(parsePlace({ HOME_REGION: region })).toEqual({ ok: true, value });
  });

  test.each(["WEUR", "weur ", "eu", "none", "mars", "toString", 1, true, {}])(
    "refuses the region %j, and never repeats it",
    (HOME_REGION) => {
      const error = [`HOME_REGION must be empty or one of ${ALL_REGIONS.join(", ")}`];
      expect(parsePlace({ HOME_REGION })).toEqual({ ok: false, error });
    },
  );

  test.each(["EU", "eu ", "fedramp", "weur", "constructor", 0, false, ["eu"]])(
    "refuses the jurisdiction %j",
    (JURISDICTION) => {
      const error = ["JURISDICTION must be eu, us or none"];
      expect(parsePlace({ JURISDICTION })).toEqual({ ok: false, error });
    },
  );

  describe.each(["eu", "us"] as const)("in the jurisdiction %s", (jurisdiction) => {
    test("no region, or one of its own", () => {
      expect(parsePlace({ JURISDICTION: jurisdiction }).ok).toBe(true);
      for (const region of WITHIN[jurisdiction]) {
        const value = { region, jurisdiction };
        const settings = { HOME_REGION: region, JURISDICTION: jurisdiction };
        expect(parsePlace(settings)).toEqual({ ok: true, value });
      }
    });

    test.each(ALL_REGIONS.filter((region) => !WITHIN[jurisdiction].includes(region)))(
      "refuses the region %s",
      (region) => {
        const place = parsePlace({ HOME_REGION: region, JURISDICTION: jurisdiction });
        expect(place).toEqual({
          ok: false,
          error: [expect.stringContaining("HOME_REGION lies outside JURISDICTION")],
        });
      },
    );
  });

  test("tells both faults at once", () => {
    const place = parsePlace({ HOME_REGION: "mars", JURISDICTION: "mars" });
    expect(place.ok ? [] : place.error).toHaveLength(2);
  });
});

describe("parseConfig", () => {
  test("has the place beside the database", () => {
    const config = parseConfig({ DATABASE_URL, HOME_REGION: "weur", JURISDICTION: "eu" });
    expect(config).toMatchObject({
      ok: true,
      value: { place: { region: "weur", jurisdiction: "eu" } },
    });
  });

  test("tells every fault at once", () => {
    const config = parseConfig({ HOME_REGION: "mars", JURISDICTION: "mars" });
    expect(config).toEqual({
      ok: false,
      error: [
        expect.stringContaining("DATABASE_URL is missing"),
        expect.stringContaining("HOME_REGION must be"),
        expect.stringContaining("JURISDICTION must be"),
      ],
    });
    expect(parseConfig({ DATABASE_URL, JURISDICTION: "mars" }).ok).toBe(false);
  });
});
