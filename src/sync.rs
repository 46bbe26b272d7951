//! State that threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks shared state, also after a panic of a thread that held the lock: each holder makes a single change, so none is left half-done.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
