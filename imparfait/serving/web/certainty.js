/** How certain a prediction is, in one of three words, by what the API says of it. */

const OF_DIGITS = "nothing like a digit";
const NONE = "like none of the classes";
const MORE_LIKELY_THAN_NOT = 0.5; // what "probably" means

/** "sure": the model is confident; "probably": it is not, but the label is more likely than not; else "unsure". */
export function certainty({ confident, reason, blank, predictions, score = predictions[0].score }) {
  if (confident) return "sure";
  const isNone = blank || reason?.startsWith(NONE);
  return !isNone && score > MORE_LIKELY_THAN_NOT ? "probably" : "unsure";
}

/** Why a model is not sure: "blank", "blankAny", "none", "uncalibrated" or "threshold"; empty where it is. */
export function doubt({ confident, reason, blank }) {
  if (confident || !reason) return "";
  if (blank) return reason.startsWith(OF_DIGITS) ? "blank" : "blankAny"; // a model of digits, or of anything else
  if (reason.startsWith(NONE)) return "none";
  return reason.startsWith("not calibrated") ? "uncalibrated" : "threshold";
}
