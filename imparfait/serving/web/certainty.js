/** How certain a prediction is, in one of three words, by what the API says of it. */

const BLANK = "nothing is drawn on it";
const NONE = "like none of the classes";
const MORE_LIKELY_THAN_NOT = 0.5; // what "probably" means

/** "sure": the model is confident; "probably": it is not, but the label is more likely than not; else "unsure". */
export function certainty({ confident, reason, predictions, score = predictions[0].score }) {
  if (confident) return "sure";
  const isNone = reason === BLANK || reason?.startsWith(NONE);
  return !isNone && score > MORE_LIKELY_THAN_NOT ? "probably" : "unsure";
}

/** Why a model is not sure: "blank", "none", "uncalibrated" or "threshold"; empty where it is. */
export function doubt({ confident, reason }) {
  if (confident || !reason) return "";
  if (reason === BLANK) return "blank";
  if (reason.startsWith(NONE)) return "none";
  return reason.startsWith("not calibrated") ? "uncalibrated" : "threshold";
}
