//! The deployments that exist, by id; swapped whole when the configuration changes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Deployment;

/// An immutable set of deployments.
#[derive(Default)]
pub struct Registry {
    by_id: HashMap<Arc<str>, Arc<Deployment>>,
}

impl Registry {
    /// All of them; of two with one id the later counts.
    pub fn new(deployments: impl IntoIterator<Item = Deployment>) -> Self {
        let by_id = deployments.into_iter().map(|d| (d.id().clone(), Arc::new(d))).collect();
        Self { by_id }
    }

    /// The deployment with this id.
    pub fn find(&self, id: &str) -> Option<&Arc<Deployment>> {
        self.by_id.get(id)
    }
}
