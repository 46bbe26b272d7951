// How much is enough for a first training.
export const ENOUGH_FRAMES = 30;
export const ENOUGH_BURSTS = 3;

/** The labels of which there is less. */
export const missingOf = (labels, counts) =>
  labels.filter((label) => counts[label].frames < ENOUGH_FRAMES || (counts[label].bursts ?? ENOUGH_BURSTS) < ENOUGH_BURSTS);
