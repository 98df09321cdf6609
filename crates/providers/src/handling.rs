//! What becomes of a request's fields: the client's word counts before the deployment's.

use gatewright_core::{Call, FieldWishes, Json, Result};

use crate::Params;

/// The deployment's rules with the client's over them.
#[derive(Clone, Copy)]
pub(crate) struct Handling<'a> {
    params: &'a Params,
    asked: &'a FieldWishes,
}

// === impl Handling ===

impl<'a> Handling<'a> {
    pub(crate) fn of(call: &'a Call, params: &'a Params) -> Self {
        Self { params, asked: &call.controls.fields }
    }

    /// Whether a call is refused that has fields which the provider does not know.
    pub(crate) fn refuses(self) -> bool {
        self.asked.drop_unknown.or(self.params.drop_params) == Some(false)
    }

    /// Whether a conversation is repaired that the provider would refuse.
    pub(crate) fn repairs(self) -> bool {
        self.asked.repair.or(self.params.repair) == Some(true)
    }

    /// Fields that are sent whatever is known of the provider.
    pub(crate) fn always_send(self) -> impl Iterator<Item = &'a String> {
        self.params.always_send.iter().chain(&self.asked.always_send)
    }

    /// The body without what is never sent; `None` where all of it may be.
    pub(crate) fn without(self, body: &Json) -> Result<Option<Json>> {
        if self.params.never_send.is_empty() {
            return Ok(None);
        }
        let mut body = body.clone();
        self.clear(&mut body)?;
        Ok(Some(body))
    }

    /// Takes out what is never sent.
    pub(crate) fn clear(self, body: &mut Json) -> Result<()> {
        self.params.never_send.iter().try_for_each(|path| body.omit(path))
    }
}
