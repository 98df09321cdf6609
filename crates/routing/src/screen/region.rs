//! Where a call may be served.

use gatewright_core::{Error, ErrorKind, Result};

use super::Screening;

/// A deployment whose region is not known serves nobody who is bound to one.
pub(super) fn check(screening: &mut Screening<'_>) -> Result<()> {
    let Some(region) = &screening.call.caller.region else { return Ok(()) };
    screening.retain(
        "region",
        |_, member| member.deployment.region.as_ref().is_some_and(|own| own == region),
        || {
            let words = format!(
                "no deployment of this model is in the region '{region}', which this call is bound to"
            );
            Error::new(ErrorKind::Unsupported, words).with_param("model")
        },
    )
}
