/** Which series a legend shows, as the set of those it hides. An empty set shows all; hiding all is the same as that. */
type Keys = ReadonlySet<string>;

/** Only `key`, or all when it already was alone. */
export function isolated(all: readonly string[], hidden: Keys, key: string): Keys {
  const others = all.filter((other) => other !== key);
  const is_alone = !hidden.has(key) && others.every((other) => hidden.has(other));
  return new Set(is_alone ? [] : others);
}

/** `key` shown or hidden, the rest as it was. */
export function toggled(all: readonly string[], hidden: Keys, key: string): Keys {
  const next = new Set(hidden);
  if (!next.delete(key)) next.add(key);
  return all.every((one) => next.has(one)) ? new Set() : next;
}
