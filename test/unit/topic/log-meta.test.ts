/** What storage knows of a log beside its rows: other versions read it, and wrote it. */
import { expect, test } from "vitest";
import { deleteLogMeta, loadLogMeta, storeLogMeta } from "../../../src/topic/log-meta.ts";
import { onStorage, START_MS } from "../support/log-storage.ts";

const META = {
  v: 1,
  position: { epoch: "epoch0000000", offset: 7, atMs: START_MS, ids: [["id", 7, 5, 1]] },
  history: { messages: 5, seconds: 60 },
  keepUntilMs: START_MS + 60_000,
  ended: "finished",
  policyAtMs: START_MS - 1,
  corrections: [],
} as const;

test("is stored as the version before reads it", () =>
  onStorage((storage) => {
    storeLogMeta(storage, META);
    expect(storage.kv.get("log")).toEqual(META);
    expect(loadLogMeta(storage)).toEqual(META);
    deleteLogMeta(storage);
    expect([...storage.kv.list()]).toEqual([]);
    expect(loadLogMeta(storage)).toBeNull();
  }));

test("is read as version 0.1 stored it, which did not date its policy", () =>
  onStorage((storage) => {
    const { policyAtMs: _, ...before } = META;
    storage.kv.put("log", { ...before, history: null, keepUntilMs: null });
    const meta = { ...META, history: null, keepUntilMs: null, policyAtMs: 0 };
    expect(loadLogMeta(storage)).toEqual(meta);
  }));

test("9.11 is read as a version before stored it, which did not say how a life had ended", () =>
  onStorage((storage) => {
    const { ended: _, ...before } = META;
    storage.kv.put("log", before);
    expect(loadLogMeta(storage)).toEqual({ ...META, ended: null });
  }));

test.each([{ ...META, v: 2 }, { v: 1 }, "text", null])("is not guessed from %o", (stored) =>
  onStorage((storage) => {
    storage.kv.put("log", stored);
    expect(loadLogMeta(storage)).toBeNull();
  }),
);
