//! Signatures for requests to AWS that are no calls: whoever puts objects into a store signs them as its models are asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use gatewright_core::{Clock, Result, Secret};
use gatewright_transport::{Request, Transport};

use super::Authorize;
use super::aws::{Aws, Told, VARIABLES};

/// Signs requests for one region of one service of AWS, with credentials that are fetched and renewed as they must be.
#[derive(Clone)]
pub struct AwsSigner {
    aws: Arc<Aws>,
    transport: Transport,
}

/// What says who signs.
#[derive(Clone, Default)]
pub struct AwsAccess {
    /// The region.
    pub region: String,
    /// `aws_access_key_id` and so on, as a deployment names them.
    pub params: BTreeMap<String, Secret>,
    /// The environment, of which [`AwsAccess::VARIABLES`] are asked for.
    pub env: BTreeMap<String, String>,
}

// === impl AwsAccess ===

impl AwsAccess {
    /// The environment variables that are asked for.
    pub const VARIABLES: [&str; VARIABLES.len()] = VARIABLES;
}

// === impl AwsSigner ===

impl AwsSigner {
    /// A signer; `None` where nothing says where credentials may come from.
    pub fn new(
        service: &str,
        access: &AwsAccess,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let env = |name: &str| access.env.get(name).cloned();
        let told = Told { params: &access.params, env: &env, region: &access.region };
        let aws = Arc::new(Aws::new(service, &told, clock)?);
        Some(Self { aws, transport })
    }

    /// Signs a request that is otherwise final. Fails where credentials cannot be had now.
    pub async fn sign(&self, request: &mut Request) -> Result<()> {
        if let Some(refresh) = self.aws.refresh(&self.transport) {
            refresh.await?;
        }
        self.aws.authorize(request)
    }
}
