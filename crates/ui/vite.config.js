import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** Where the API of `npm run dev` comes from: the mock unless a server is named. */
const api = process.env.BAROGRAPH_URL;

/** The modules of the shell and of Overview. */
const FIRST =
  /\/node_modules\/(?:svelte|uplot|esm-env|clsx)\/|\/src\/(?:base|main|routes|view|shell\/(?!AccountMenu|FiringBadge|Help|Missing|Palette|palette|RangeForm|Reload)|time\/(?!typed)|units|panels\/(?!PlanTable|PanelActions|attempt|export|save|polled|firing)|api\/(?:client|live|me|query|sse|types)|pages\/(?:Overview|overview|shown|Welcome)|promql\/(?:series|unit)|charts\/(?:Chart|Legend|Swatch|Sparkline|frame|legend|options|palette|spark)\.|ui\/(?:fetched|Icon|icons|Mark|Notice|Popover|theme)\b)/;

export default defineConfig({
  base: "/ui/",
  // Scripts find their parts beside themselves: only index.html names `/ui/`.
  experimental: { renderBuiltUrl: (_, { hostType }) => (hostType === "html" ? undefined : { relative: true }) },
  plugins: [svelte(), linesOnly(), ...(api ? [] : [mockApi()])],
  build: {
    target: "es2022",
    // Names under assets/ carry a hash of the content, so they may be cached for ever.
    assetsDir: "assets",
    assetsInlineLimit: 0,
    // Lists of what later parts need would cost the first visit more than they save later.
    modulePreload: false,
    // What the first page needs is one file, however many later parts share pieces of it: split, it compresses worse.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "first", test: FIRST }] } } },
  },
  // The server takes only requests of its own pages: to it, these are.
  server: api ? { proxy: Object.fromEntries(["/api", "/-/", "/metrics", "/health", "/ping"].map((path) => [path, { target: api, changeOrigin: true, headers: { origin: new URL(api).origin } }])) } : {},
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});

/** Leaves out of the chart library how it draws what is no line: bars, steps and curves are a tenth of it. */
function linesOnly() {
  const UNUSED = /\(paths\.(?:stepped|bars|spline) += \w+\);/g;
  return {
    name: "lines-only",
    transform: {
      filter: { id: /uPlot\.esm\.js$/ },
      handler(code) {
        if (code.match(UNUSED)?.length !== 3) throw new Error("uPlot names its paths otherwise than vite.config.js expects");
        return code.replace(UNUSED, "");
      },
    },
  };
}

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
