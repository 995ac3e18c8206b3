/** What two answers of the key store may be apart and still be in the other order (16.2), written down again. */
export const TOLERANCE_MS = 2000;
