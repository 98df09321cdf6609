//! The dialects that one model is spoken to in: its own, and others for clients that speak them too.

use std::sync::Arc;

use gatewright_catalogue::{Catalogue, ProviderRow};
use gatewright_core::{Dialect, Result};

use crate::endpoint::Endpoint;
use crate::{Params, custom};

/// One endpoint a dialect.
pub(crate) struct Spoken {
    own: Arc<Endpoint>,
    also: Vec<Arc<Endpoint>>,
}

// === impl Spoken ===

impl Spoken {
    /// The endpoints of a provider's model.
    pub(crate) fn new(
        row: &ProviderRow,
        params: &Params,
        model: &str,
        catalogue: &Catalogue,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let endpoint = |dialect| Endpoint::new((row, dialect), params, model, catalogue, env).map(Arc::new);
        let own = catalogue.dialect(row, model, &params.overrides);
        // A model that is set apart by its dialect speaks nothing else.
        let also = row.also_of(model, params.overrides.base_model.as_deref());
        let others = also.iter().filter(|also| also.dialect != own && own == row.dialect);
        let others = others.map(|also| endpoint(also.dialect)).collect::<Result<Vec<_>>>()?;
        let answers = |other: &Arc<Endpoint>| custom::answers(&row.id, other.host());
        Ok(Self { own: endpoint(own)?, also: others.into_iter().filter(answers).collect() })
    }

    /// The endpoint of its own dialect.
    pub(crate) fn own(&self) -> &Endpoint {
        &self.own
    }

    /// The endpoint for a client: the one that speaks as it does, else the model's own.
    pub(crate) fn to(&self, client: Dialect) -> &Arc<Endpoint> {
        self.also.iter().find(|endpoint| endpoint.codec.dialect() == client).unwrap_or(&self.own)
    }
}
