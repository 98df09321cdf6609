//! Where this gateway counts: in its own process, or in a Redis that it shares with other replicas.

use std::sync::Arc;

use gatewright_core::Clock;
use gatewright_limits::{Counts, Local, Shared, SharedSettings};
use gatewright_spend::{InstanceId, Journal};

use crate::StartError;
use crate::config::Config;

/// Opens what the configuration names.
pub(crate) fn open(
    config: &Config,
    journal: &Journal,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Counts>, StartError> {
    let mode = config.money.mode;
    let Some(redis) = &config.redis else {
        return Ok(Arc::new(Counts::Local(Local::new(clock).holding(mode))));
    };
    let client = redis::Client::open(redis.server.clone())
        .map_err(|err| StartError::new("cannot use this redis", &err))?;
    // A process that is started again on the same journal is the same replica.
    let replica = journal.instance().unwrap_or_else(InstanceId::fresh).to_string();
    let settings = SharedSettings { replica, mode, ..redis.sharing.clone() };
    Ok(Arc::new(Counts::Shared(Shared::start(client, settings, clock))))
}
