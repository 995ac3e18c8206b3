/**
 * Where a deployment's objects are to be: the settings `HOME_REGION` and `JURISDICTION`, and which go together.
 * Invariant: a place that is returned keeps to its jurisdiction.
 */
import { err, ok, type Result } from "./result.ts";

/** Regions in which the platform can be asked to make an object (Cloudflare's location hints). */
const REGIONS = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

/** Jurisdictions that objects can be bound to, each with the regions that lie within it. */
const JURISDICTIONS = {
  eu: ["weur", "eeur"],
  us: ["wnam", "enam"],
} as const;

/** A region of the platform's. */
export type Region = (typeof REGIONS)[number];

/** What the platform guarantees to run and store an object in. */
export type Jurisdiction = keyof typeof JURISDICTIONS;

/** Where objects are made. */
export interface Place {
  /** `null`: near whoever asks for an object first. */
  readonly region: Region | null;
  readonly jurisdiction: Jurisdiction | null;
}

/** The settings as the environment has them. */
export interface PlaceSettings {
  readonly HOME_REGION?: unknown;
  readonly JURISDICTION?: unknown;
}

/** Reads the settings; the error lists every fault as a sentence that says what would be right. */
export function parsePlace({
  HOME_REGION,
  JURISDICTION,
}: PlaceSettings): Result<Place, readonly string[]> {
  const region = isUnset(HOME_REGION) ? null : REGIONS.find((known) => known === HOME_REGION);
  const jurisdiction =
    isUnset(JURISDICTION) || JURISDICTION === "none" ? null : findJurisdiction(JURISDICTION);
  const faults: string[] = [];
  if (region === undefined) {
    faults.push(`HOME_REGION must be empty or one of ${REGIONS.join(", ")}`);
  }
  if (jurisdiction === undefined) faults.push("JURISDICTION must be eu, us or none");
  if (region === undefined || jurisdiction === undefined) return err(faults);
  return region !== null && jurisdiction !== null && !isWithin(region, jurisdiction)
    ? err(["HOME_REGION lies outside JURISDICTION: eu has weur and eeur, us has wnam and enam"])
    : ok({ region, jurisdiction });
}

function isUnset(setting: unknown): boolean {
  return setting === undefined || setting === null || setting === "";
}

function findJurisdiction(setting: unknown): Jurisdiction | undefined {
  return setting === "eu" || setting === "us" ? setting : undefined;
}

function isWithin(region: Region, jurisdiction: Jurisdiction): boolean {
  const regions: readonly Region[] = JURISDICTIONS[jurisdiction];
  return regions.includes(region);
}
