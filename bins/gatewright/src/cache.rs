//! What this gateway keeps answers in.

use std::sync::Arc;

use gatewright_cache::similar::{Alike, Similar};
use gatewright_cache::{Cache, Figures, Memory, Tiers};
use gatewright_core::Clock;

use crate::config::Config;

/// Opens what the configuration names.
pub(crate) fn open(
    config: &Config,
    similar: Option<Similar>,
    figures: Arc<Figures>,
    clock: Arc<dyn Clock>,
) -> Cache<Alike<Tiers>> {
    let Some(settings) = &config.cache else { return Cache::off() };
    let memory = Memory::new(settings.memory_bytes, settings.memory_ttl, clock.clone());
    Cache::new(Alike::new(Tiers::local(memory), similar), settings.answers.clone(), figures, clock)
}
