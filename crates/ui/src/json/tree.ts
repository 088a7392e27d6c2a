/** JSON with the place of every part, so that a mistake named by its path is shown where it is. Pure; RFC 8259. */

/** A half-open range of offsets into the text. */
export interface Place {
  from: number;
  to: number;
}

export interface Tree extends Place {
  /** Children by key or index; each with the place of its key where it has one. */
  children: ReadonlyMap<string, { key: Place | null; value: Tree }>;
}

export class JsonError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

/** Throws a `JsonError` for what is no JSON. */
export function treeOf(text: string): Tree {
  const reader = new Reader(text);
  const tree = reader.value(0);
  reader.space();
  if (reader.at < text.length) throw new JsonError("nothing may follow the document", reader.at);
  return tree;
}

/** Where a path such as `query.aggregations[0].window` is: its value, a key that should not be there, or the nearest part around it. */
export function placeOf(tree: Tree, path: string): Place {
  let place: Place = tree;
  let node: Tree | undefined = tree;
  for (const step of stepsOf(path)) {
    const child: { key: Place | null; value: Tree } | undefined = node?.children.get(step);
    if (child === undefined) break;
    node = child.value;
    place = node;
  }
  return place;
}

/** `a.b[0]["c d"]` as keys and indices. */
export function stepsOf(path: string): string[] {
  return [...path.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** Levels of nesting that are read; a deeper document is no query. */
const DEPTH_MAX = 64;

class Reader {
  at = 0;

  constructor(readonly text: string) {}

  space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  value(depth: number): Tree {
    this.space();
    if (depth > DEPTH_MAX) throw new JsonError("nested too deeply", this.at);
    const from = this.at;
    const c = this.text[from];
    if (c === "{") return this.#object(depth);
    if (c === "[") return this.#array(depth);
    if (c === '"') return { ...this.#string(), children: NONE };
    const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/.exec(this.text.slice(from, from + 64))?.[0];
    if (word === undefined) throw new JsonError(c === undefined ? "the document ends too early" : "expected a value", from);
    this.at += word.length;
    return { from, to: this.at, children: NONE };
  }

  #object(depth: number): Tree {
    const from = this.at;
    const children = new Map<string, { key: Place | null; value: Tree }>();
    this.at += 1;
    this.space();
    if (!this.#takes("}")) {
      do {
        this.space();
        if (this.text[this.at] !== '"') throw new JsonError('expected a key in "quotes"', this.at);
        const key = this.#string();
        this.space();
        if (!this.#takes(":")) throw new JsonError("expected a colon", this.at);
        children.set(JSON.parse(this.text.slice(key.from, key.to)) as string, { key, value: this.value(depth + 1) });
        this.space();
      } while (this.#takes(","));
      if (!this.#takes("}")) throw new JsonError("expected a comma or }", this.at);
    }
    return { from, to: this.at, children };
  }

  #array(depth: number): Tree {
    const from = this.at;
    const children = new Map<string, { key: Place | null; value: Tree }>();
    this.at += 1;
    this.space();
    if (!this.#takes("]")) {
      do {
        children.set(String(children.size), { key: null, value: this.value(depth + 1) });
        this.space();
      } while (this.#takes(","));
      if (!this.#takes("]")) throw new JsonError("expected a comma or ]", this.at);
    }
    return { from, to: this.at, children };
  }

  #string(): Place {
    const from = this.at;
    const text = /^"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/.exec(this.text.slice(from))?.[0];
    if (text === undefined) throw new JsonError("this text does not end", from);
    this.at += text.length;
    return { from, to: this.at };
  }

  #takes(c: string): boolean {
    if (this.text[this.at] !== c) return false;
    this.at += 1;
    return true;
  }
}

const NONE: Tree["children"] = new Map();
