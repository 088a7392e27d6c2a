/** What happened meanwhile, for every chart of a page: incidents and silences. Filled by whoever asks for them. */
import type { ChartMark } from "../charts/marks";

export class Marks {
  shown = $state.raw<readonly ChartMark[]>([]);
}
