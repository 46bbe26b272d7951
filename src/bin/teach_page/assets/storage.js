// What the browser keeps for this page. Some are set to keep nothing, and then even looking for it is an error.

const kept = (storage) => ({
  get(key) {
    try {
      return storage().getItem(key);
    } catch {
      return null;
    }
  },
  /** `null` forgets it. */
  set(key, value) {
    try {
      if (value == null) storage().removeItem(key);
      else storage().setItem(key, value);
    } catch {
      // The page works without it.
    }
  },
});

/** Kept for good. */
export const local = kept(() => localStorage);
/** Kept until the tab is closed. */
export const session = kept(() => sessionStorage);
