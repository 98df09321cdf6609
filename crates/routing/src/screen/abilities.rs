//! Whether a model can do what a call needs, at a price that may be paid.

use gatewright_core::{Error, ErrorKind, Price, Result};

use super::Screening;

pub(super) fn check(screening: &mut Screening<'_>) -> Result<()> {
    let checks = &screening.settings.checks;
    if checks.abilities {
        let needs = screening.settings.know.needs(screening.call);
        screening.retain(
            "abilities",
            |screening, member| !screening.model(member).lacks.meets(needs),
            || {
                Error::new(
                    ErrorKind::Unsupported,
                    "no deployment of this model can do all that this call needs",
                )
            },
        )?;
    }
    let (input, output) = (checks.max_input_price, checks.max_output_price);
    if input.or(output).is_none() {
        return Ok(());
    }
    // What costs nobody knows what does not cost less than anything.
    let within = |price: Option<Price>, most: Option<Price>| {
        most.is_none_or(|most| price.is_some_and(|price| price <= most))
    };
    screening.retain(
        "price",
        |screening, member| {
            let model = screening.model(member);
            within(model.input, input) && within(model.output, output)
        },
        || Error::new(ErrorKind::Unsupported, "every deployment of this model costs more than may be paid"),
    )
}
