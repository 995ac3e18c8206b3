/** Two questions before a hub's objects are left behind: one that is answered by habit is not enough. */
import type { Jurisdiction } from "../core/place.ts";

/** A jurisdiction as `JURISDICTION` has it. */
export function nameOf(jurisdiction: Jurisdiction | null): string {
  return jurisdiction ?? "none";
}

/** Asks twice, and goes on only where both answers are right. */
export async function confirmMove(
  next: Jurisdiction | null,
  ask: (question: string) => Promise<string>,
): Promise<boolean> {
  const first = await ask("Leave all of that behind? (yes/no) ");
  if (first.trim().toLowerCase() !== "yes") return false;
  const second = await ask("Type the new jurisdiction (eu, us or none) to deploy: ");
  return second.trim() === nameOf(next);
}
