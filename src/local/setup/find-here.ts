/** What is set on this machine for a hub elsewhere. */
import { findSetting, type Setting } from "../find-setting.ts";

/** From the environment, which is set for this very run, else from .dev.vars; `null`: from neither. */
export function findHere(name: "DATABASE_URL" | "HUB_URL"): Setting | null {
  const value = process.env[name];
  if (value !== undefined && value !== "") return { value, place: "the environment" };
  return findSetting(name);
}
