/** Alerts for information as one line. Pure. */
import type { ServerEvent } from "../../api/sse";
import { format } from "../../units/format";

interface Told {
  severity?: string;
  message?: string;
  metric_name?: string;
  current_value?: number;
  threshold_value?: number;
  threshold_type?: string;
}

/** What is said of an alert that is only for information; nothing of others, which have a place in the list. */
export function toastOf({ data }: ServerEvent): string | null {
  let told: Told | null;
  try {
    told = JSON.parse(data) as Told | null;
  } catch {
    return null;
  }
  if (typeof told !== "object" || told?.severity !== "info") return null;
  if (typeof told.message === "string" && told.message !== "") return told.message;
  if (typeof told.metric_name !== "string") return null;
  return `${told.metric_name} is ${format(told.current_value, "number")}, ${told.threshold_type === "min" ? "below" : "above"} ${format(told.threshold_value, "number")}`;
}
