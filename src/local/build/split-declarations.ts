/**
 * A declaration file, as the compiler prints it, cut into its statements: at the lines that are not indented. Knows
 * nothing of where the file is. Invariant: what it cannot tell is an error, and nothing is left out in silence.
 */

/** An import from another module, or an export from it. */
export interface Link {
  readonly from: string;
  /** `"*"`: whatever it exports. */
  readonly names: readonly string[] | "*";
  readonly isExport: boolean;
}

/** One thing that is declared. */
export interface Declaration {
  readonly name: string;
  readonly isExported: boolean;
  /** With its doc comment, and not exported. */
  readonly text: string;
  /** Without comments. */
  readonly code: string;
}

/** What a file consists of. */
export interface DeclarationFile {
  readonly links: readonly Link[];
  readonly declarations: readonly Declaration[];
}

/** A doc comment, or a statement with all lines that belong to it: those that are indented, empty, or close it. */
const BLOCK = /^\/\*\*[^]*?\*\/\n|^\S.*\n(?:[ })\]].*\n|\n)*/gm;
const EXPORT_ALL = /^export (?:type )?\* from "(\.[^"]+)";\n$/;
const LINK = /^(import|export) (?:type )?\{ ([^}]*) \} from "(\.[^"]+)";\n$/;
const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:class|const|enum|function|interface|type) ([\w$]+)/;

/** Cuts it; throws where it is not as the compiler prints it. */
export function splitDeclarations(file: string): DeclarationFile {
  const links: Link[] = [];
  const declarations = new Map<string, Declaration>();
  let comment = "";
  for (const block of blocksOf(file)) {
    if (block.startsWith("/**")) {
      comment = block;
      continue;
    }
    const link = parseLink(block);
    if (link !== null) links.push(link);
    else if (block !== "export {};\n") add(parseDeclaration(comment, block), declarations);
    comment = "";
  }
  return { links, declarations: [...declarations.values()] };
}

function blocksOf(file: string): readonly string[] {
  const blocks = file.match(BLOCK) ?? [];
  if (blocks.join("") === file) return blocks;
  throw new Error(`Cannot cut declarations:\n${file}`);
}

/** Adds it, or what it says more: overloads of a function, an interface in parts. */
function add(declaration: Declaration, declarations: Map<string, Declaration>): void {
  const { name, text, code } = declaration;
  const before = declarations.get(name) ?? { ...declaration, text: "", code: "" };
  declarations.set(name, { ...before, text: before.text + text, code: before.code + code });
}

function parseLink(statement: string): Link | null {
  const [, all] = EXPORT_ALL.exec(statement) ?? [];
  if (all !== undefined) return { from: all, names: "*", isExport: true };
  const [, word, names, from] = LINK.exec(statement) ?? [];
  if (names === undefined || from === undefined) return null;
  const list = names.split(", ").map((name) => name.replace(/^type /, ""));
  return { from, names: list.map(requireOwnName), isExport: word === "export" };
}

/** Under another name it would have to be found and replaced wherever it is used. */
function requireOwnName(name: string): string {
  if (/^[\w$]+$/.test(name)) return name;
  throw new Error(`Cannot put together declarations with "${name}": import it by its own name`);
}

function parseDeclaration(comment: string, statement: string): Declaration {
  const [, exported, name] = DECLARATION.exec(statement) ?? [];
  if (name === undefined) throw new Error(`Cannot read a declaration: ${statement}`);
  const own = statement.replace(/^export /, "");
  return {
    name,
    isExported: exported !== undefined,
    text: comment + own,
    code: own.replaceAll(/\/\*\*(?:[^*]|\*(?!\/))*\*\//g, ""),
  };
}
