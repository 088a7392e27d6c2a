/** Which of some tabs a page is of. Pure. */
interface Tab {
  path: string;
}

/** The tab at a path, or that of the list in which what is there stands. */
export function tabOf<T extends Tab>(tabs: readonly T[], path: string): T | undefined {
  const around = tabs.filter((tab) => path === tab.path || path.startsWith(`${tab.path}/`));
  return around.sort((a, b) => b.path.length - a.path.length)[0];
}
