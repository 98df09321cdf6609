//! Ports of the layers, filled from what the others know: the two halves of a deployment are joined here by its id.

mod allowances;
mod claimed;
mod conversations;
mod counts;
mod crossings;
mod directory;
mod embeddings;
mod health;
mod keys;
pub(crate) mod knowledge;
mod needs;
mod parties;
mod pictures;
mod prefix;
mod prices;
mod providers;
mod rules;
mod seeds;
mod stored;

pub(crate) use claimed::ProviderKeys;
pub(crate) use conversations::{Keepers, StoredConversations};
pub(crate) use counts::Counted;
pub(crate) use crossings::Crossed;
pub(crate) use directory::Models;
pub(crate) use embeddings::Embeddings;
pub(crate) use health::Observed;
pub(crate) use keys::{Forgetting, StoredKeys};
pub(crate) use knowledge::Knowledge;
pub(crate) use needs::Needs;
pub(crate) use parties::{ForgettingParties, StoredParties};
pub(crate) use prices::PriceList;
pub(crate) use providers::provider_of;
pub(crate) use rules::{CallRules, DeploymentRules};
pub(crate) use seeds::{Known, Seeds};
pub(crate) use stored::StoredModels;
