/**
 * The eight series colours: Okabe and Ito's, in their order and starting at blue, with the light ones darkened by day and the
 * dark ones lightened by night until each has 3:1 against its surface. From the ninth series on the colours repeat, dashed.
 */
export const DAY_SERIES = ["#0072b2", "#d55e00", "#b4578f", "#49515c", "#b37400", "#2787be", "#008f68", "#867c00"] as const;
export const NIGHT_SERIES = ["#4aa3df", "#f0803c", "#cc79a7", "#c3cad4", "#e69f00", "#7cc7f0", "#1fb588", "#f0e442"] as const;

export const DAY_SURFACE = "#ffffff";
export const NIGHT_SURFACE = "#171b22";

/** Axis text and grid lines, drawn on the canvas, where style sheets do not reach. */
export const DAY_INK = { text: "#585d6b", grid: "#ececf1" } as const;
export const NIGHT_INK = { text: "#a2a9b7", grid: "#232933" } as const;

export interface Stroke {
  color: string;
  /** Lengths of dash and gap in CSS pixels; empty is a full line. */
  dash: number[];
}

const DASHES: number[][] = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

export function strokeOf(index: number, night: boolean): Stroke {
  const colors = night ? NIGHT_SERIES : DAY_SERIES;
  return {
    color: colors[index % colors.length] ?? colors[0],
    dash: DASHES[Math.floor(index / colors.length) % DASHES.length] ?? [],
  };
}

/** Opacity of a faint line, as the last two digits of its colour. */
export const FAINT = "70";

/** The contrast of two `#rrggbb` colours as WCAG 2.2 defines it, 1 to 21. */
export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(color: string): number {
  const channel = (at: number): number => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
