/**
 * Where the pages and the server are, found from the address of this very script, which lies one folder below the pages'.
 * So only the shell's HTML names `/ui/`, and a server behind a route prefix has one place to rewrite.
 */
const here = import.meta.url;

/** The folder of the pages: `…/ui/`. */
export const BASE = new URL("../", here);

/** The server's root, one above. */
export const ROOT = new URL("../", BASE);
