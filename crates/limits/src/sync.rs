//! The lock around shared counts: the crate's own tests run under shuttle, which tries the orders in which threads
//! may take it.

#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, MutexGuard};

#[cfg(test)]
pub(crate) use shuttle::sync::MutexGuard;

/// shuttle's lock with parking_lot's words.
#[cfg(test)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[cfg(test)]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
