/** Lines of a stream: wherever it is cut, and however long they are. */
import { describe, expect, test } from "vitest";
import { readLines, readWhole } from "../../../src/cli/messages/read-lines.ts";

/** A stream that comes in such pieces. */
async function* streamOf(...pieces: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield typeof piece === "string" ? Buffer.from(piece) : piece;
}

/** What is read, group by group. */
async function read(stream: AsyncGenerator<Uint8Array>, mostBytes?: number): Promise<string[][]> {
  const groups: string[][] = [];
  for await (const lines of readLines(stream, mostBytes)) groups.push(lines);
  return groups;
}

describe("lines", () => {
  test("come together as they came", async () => {
    expect(await read(streamOf("a\nb\nc", "", "d\n", "\n", "e"))).toEqual([
      ["a", "b"],
      ["cd"],
      [""],
      ["e"],
    ]);
    expect(await read(streamOf())).toEqual([]);
    expect(await read(streamOf("\n"))).toEqual([[""]]);
  });

  test("are whole, wherever a chunk ends", async () => {
    const bytes = Buffer.from("ä👋\n\u{feff}ß\r\nz");
    for (let at = 0; at <= bytes.length; at++) {
      const groups = await read(streamOf(bytes.subarray(0, at), bytes.subarray(at)));
      expect(groups.flat()).toEqual(["ä👋", "\u{feff}ß\r", "z"]);
    }
  });

  test("that are no UTF-8 are named, behind those that are", async () => {
    const seen: string[] = [];
    const reading = async (): Promise<void> => {
      const stream = streamOf("a\n", Buffer.from("b\nä\n\u00ff\nc\n", "latin1"));
      for await (const lines of readLines(stream)) seen.push(...lines);
    };
    await expect(reading()).rejects.toThrow("Line 3 is not UTF-8");
    expect(seen).toEqual(["a", "b"]);
  });

  test("are bounded, also where they never end", async () => {
    expect(await read(streamOf("abcd", "\nabcd"), 4)).toEqual([["abcd"], ["abcd"]]);
    let given = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (; given < 100; given++) yield Buffer.from(given === 0 ? "a\nx" : "x");
    };
    await expect(read(endless(), 4)).rejects.toThrow("Line 2 has more than 32 MiB");
    expect(given).toBe(4);
  });
});

test("all of a stream is bounded, too", async () => {
  expect(Buffer.from(await readWhole(streamOf("a\n", "b"))).toString()).toBe("a\nb");
  const large = Buffer.alloc(16 * 1024 * 1024);
  expect((await readWhole(streamOf(large, large))).length).toBe(2 * large.length);
  await expect(readWhole(streamOf(large, large, "x"))).rejects.toThrow("more than 32 MiB");
});
