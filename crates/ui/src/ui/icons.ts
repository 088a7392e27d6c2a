/** Outlines on a 16 × 16 grid, drawn for these pages: strokes of the text's colour. */
export const ICONS = {
  overview: "M1.5 8.5h3l2-5 3 9 2-6 1 2h2",
  explore: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6 14.5 14.5M4.5 7.8l1.7-1.6 1.6 1.2L9.6 5.5",
  admin: "M2.5 4c0-1.3 2.4-2 5.5-2s5.5.7 5.5 2-2.4 2-5.5 2-5.5-.7-5.5-2ZM2.5 4v8c0 1.3 2.4 2 5.5 2s5.5-.7 5.5-2V4M2.5 8c0 1.3 2.4 2 5.5 2s5.5-.7 5.5-2",
  clock: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM8 4.5V8l2.5 1.5",
  left: "M10 3 5 8l5 5",
  right: "m6 3 5 5-5 5",
  down: "m4 6 4 4 4-4",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6l3.9 3.9",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3Z",
  system: "M2 3h12v8H2ZM6 14h4M8 11v3",
  keys: "M1.5 4h13v8h-13ZM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  play: "M5 3.5v9l7-4.5Z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  link: "M6.5 9.5 9.5 6.5M7 4.5 8.8 2.7a3.2 3.2 0 0 1 4.5 4.5L11.5 9M9 11.5l-1.8 1.8a3.2 3.2 0 0 1-4.5-4.5L4.5 7",
  file: "M8 2v8M4.8 7 8 10.2 11.2 7M2.5 13.5h11",
  terminal: "m3 4.5 3.5 3.5L3 11.5M8.5 12H13",
  close: "m4 4 8 8M12 4l-8 8",
  fold: "M2 3h12v10H2ZM6 3v10M11.5 6.5 10 8l1.5 1.5",
  unfold: "M2 3h12v10H2ZM6 3v10M10 6.5 11.5 8 10 9.5",
  warning: "M8 2 1.5 13.5h13ZM8 6.5v3.5M8 12h.01",
  check: "m3 8.5 3.5 3.5L13 4.5",
} as const;

export type IconName = keyof typeof ICONS;
