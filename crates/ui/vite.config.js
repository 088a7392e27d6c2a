import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** Where the API of `npm run dev` comes from: the mock unless a server is named. */
const api = process.env.BAROGRAPH_URL;

export default defineConfig({
  base: "/ui/",
  // Scripts find their parts beside themselves: only index.html names `/ui/`.
  experimental: { renderBuiltUrl: (_, { hostType }) => (hostType === "html" ? undefined : { relative: true }) },
  plugins: [svelte(), ...(api ? [] : [mockApi()])],
  build: {
    target: "es2022",
    // Names under assets/ carry a hash of the content, so they may be cached for ever.
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: api ? { proxy: { "/api": api, "/-/": api, "/metrics": api } } : {},
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});

/** The generated answers of `mock/`, inside the development server. */
function mockApi() {
  return {
    name: "mock-api",
    apply: "serve",
    async configureServer(server) {
      if (process.env.VITEST) return;
      const { createApi } = await import(new URL("mock/api.js", `file://${import.meta.dirname}/`).href);
      server.middlewares.use(createApi());
    },
  };
}
