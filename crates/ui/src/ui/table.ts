/** A column of a table, and the order of its rows. */
export interface Column {
  id: string;
  title: string;
  /** Right-aligned. */
  number?: boolean;
  /** Takes the room that is left. */
  wide?: boolean;
}

export interface Sorting {
  column: string;
  descending: boolean;
}

/** After a press on a column's head: its own direction turns, a new column starts with the larger numbers or the first words. */
export function pressedHead(sorting: Sorting | null, column: Column): Sorting {
  const descending = sorting?.column === column.id ? !sorting.descending : column.number === true;
  return { column: column.id, descending };
}

/** A sorted copy; equal rows keep their order, and what is not a number comes last either way. */
export function sortedBy<Row>(rows: readonly Row[], key: (row: Row) => string | number, descending: boolean): Row[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (typeof x === "number" && typeof y === "number") {
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return sign * (x - y);
    }
    return sign * (String(x) < String(y) ? -1 : String(x) > String(y) ? 1 : 0);
  });
}
