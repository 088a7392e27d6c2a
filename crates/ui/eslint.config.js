import svelte from "eslint-plugin-svelte";
import typescript from "typescript-eslint";

export default [
  { ignores: ["dist/", "screenshots/", "node_modules/"] },
  ...typescript.configs.strict,
  ...svelte.configs.recommended,
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: { parserOptions: { parser: typescript.parser } },
  },
  {
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      // Links inside the application are made by `view.href`, which knows the base.
      "svelte/no-navigation-without-resolve": "off",
    },
  },
  {
    files: ["mock/**", "e2e/**"],
    rules: { "no-console": "off" },
  },
  {
    // What the folders may not know (see style: a chart never fetches, ui/ knows neither routes nor data).
    files: ["src/ui/**", "src/charts/**", "src/units/**", "src/time/**", "src/promql/**", "src/json/**"],
    rules: {
      "no-restricted-imports": ["error", { patterns: ["**/api/*", "**/pages/*", "**/panels/*", "**/shell/*", "**/routes", "**/view.svelte"] }],
    },
  },
  {
    files: ["src/**"],
    ignores: ["src/charts/**"],
    rules: { "no-restricted-syntax": ["error", { selector: "ImportDeclaration[source.value='uplot']", message: "charts/ is the only importer of uPlot" }] },
  },
];
