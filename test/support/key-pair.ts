/** Key pairs for tokens, as JWKs. */
import { exportJWK, generateKeyPair, type JWK } from "jose";

/** A key and its public half. */
export interface KeyPair {
  readonly public: JWK;
  readonly private: JWK;
}

/** Makes one: P-256 for ES256, Ed25519 for EdDSA. */
export async function makeKeyPair(algorithm: "ES256" | "EdDSA", kid?: string): Promise<KeyPair> {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  const named = kid === undefined ? {} : { kid };
  return {
    public: { ...(await exportJWK(pair.publicKey)), ...named },
    private: { ...(await exportJWK(pair.privateKey)), ...named },
  };
}
