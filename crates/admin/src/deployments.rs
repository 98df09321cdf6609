//! What the data plane knows of its deployments, and what it says to those that are to come.

use std::pin::Pin;

use gatewright_core::Caller;
use gatewright_store::{Draft, Kind};
use serde_json::{Map, Value};

/// An answer that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The deployments that are in force.
pub trait Deployments: Send + Sync + 'static {
    /// Whether models may be kept in the database at all.
    fn are_stored(&self) -> bool;

    /// Whether all models would still build with these changes; else why not, in words for the client.
    fn check<'a>(&'a self, changes: &'a [Change]) -> Waiting<'a, Result<(), String>>;

    /// The deployment with this id, or one that serves this name to everybody.
    fn find(&self, name: &str) -> Option<Deployed>;

    /// Whether a caller may use what a name leads to.
    fn permits(&self, caller: &Caller, model: &str) -> bool;

    /// Whether a deployment is in this access group.
    fn has_access_group(&self, name: &str) -> bool;

    /// Credentials of the configuration.
    fn credentials(&self) -> Vec<Configured>;
}

/// A row as it would be.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the row is: a model or a credential.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// What it would say; `None` where it would be gone.
    pub draft: Option<Draft>,
}

/// A deployment that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// Its public name.
    pub name: String,
    /// What its provider is shown, in clear.
    pub credential: Map<String, Value>,
}

/// A credential of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub info: Value,
    /// What it holds, in clear.
    pub values: Map<String, Value>,
}
