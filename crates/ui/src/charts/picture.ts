/** A chart as one picture, with its title and its legend: what a person pastes into a report. */
import { DAY_INK, DAY_SURFACE, NIGHT_INK, NIGHT_SURFACE, strokeOf } from "./palette";

export interface Legend {
  name: string;
  value: string;
  /** Its place in the palette. */
  place: number;
}

const MARGIN = 16;
const ROW = 20;
/** Rows of a legend; the rest is counted. */
const ROWS_MAX = 40;
const FAMILY = 'system-ui, -apple-system, "Segoe UI", Roboto, Inter, "Noto Sans", "Liberation Sans", sans-serif';

/** `null` where the browser gives no picture. */
export function pictureOf(chart: HTMLCanvasElement, titles: readonly string[], legend: readonly Legend[], night: boolean): Promise<Blob | null> {
  const pixels = devicePixelRatio;
  const [width, height] = [chart.width / pixels, chart.height / pixels];
  const shown = legend.slice(0, ROWS_MAX);
  const rows = shown.length + (legend.length > shown.length ? 1 : 0);
  const canvas = document.createElement("canvas");
  const top = MARGIN + titles.length * ROW + 8;
  canvas.width = (width + 2 * MARGIN) * pixels;
  canvas.height = (top + height + 8 + rows * ROW + MARGIN) * pixels;
  const context = canvas.getContext("2d");
  if (context === null) return Promise.resolve(null);
  context.scale(pixels, pixels);
  const ink = night ? NIGHT_INK : DAY_INK;
  const text = night ? "#e6e8ee" : "#1c1e26";
  context.fillStyle = night ? NIGHT_SURFACE : DAY_SURFACE;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.textBaseline = "middle";
  context.fillStyle = text;
  context.font = `600 14px ${FAMILY}`;
  titles.forEach((title, i) => context.fillText(title, MARGIN, MARGIN + (i + 0.5) * ROW, width));
  context.drawImage(chart, MARGIN, top, width, height);
  context.font = `12px ${FAMILY}`;
  shown.forEach(({ name, value, place }, i) => {
    const y = top + height + 8 + (i + 0.5) * ROW;
    const { color, dash } = strokeOf(place, night);
    context.strokeStyle = color;
    context.lineWidth = 3;
    context.setLineDash(dash.length > 0 ? [4, 2] : []);
    context.beginPath();
    context.moveTo(MARGIN, y);
    context.lineTo(MARGIN + 12, y);
    context.stroke();
    context.textAlign = "left";
    context.fillStyle = ink.text;
    context.fillText(name, MARGIN + 20, y, width - 140);
    context.textAlign = "right";
    context.fillStyle = text;
    context.fillText(value, MARGIN + width, y, 110);
  });
  context.textAlign = "left";
  context.fillStyle = ink.text;
  if (rows > shown.length) context.fillText(`and ${legend.length - shown.length} more`, MARGIN + 20, top + height + 8 + (rows - 0.5) * ROW);
  return new Promise((done) => canvas.toBlob(done));
}
