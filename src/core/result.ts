/**
 * The tagged outcome of everything that can be refused: parsers and checks return it, callers switch
 * on `ok`. Exceptions are kept for bugs and for platform failure.
 */

/** Either a value, or the error that explains its absence. */
export type Result<T, E = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** Wraps a value as a success. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** Wraps an error as a failure. */
export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}
