//! What an operator says about a model, over what the table says.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::field::is_price;
use crate::price::price_of;
use crate::{Limits, PriceField, Prices};

/// What an operator's config says about one deployment's model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// The model whose facts hold for this one (`base_model`).
    pub base_model: Option<String>,
    /// Prices.
    pub prices: Prices,
    /// Limits.
    pub limits: Limits,
    /// What the model is for.
    pub mode: Option<String>,
    /// `supports_*` flags, without that prefix.
    pub supports: Vec<(String, bool)>,
}

/// A price that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPrice {
    /// The field.
    pub field: String,
    /// What stands there.
    pub value: String,
}

/// Price fields with a structure of their own.
const STRUCTURED: [&str; 3] = ["tiered_pricing", "off_peak_pricing", "search_context_cost_per_query"];

// === impl Overrides ===

impl Overrides {
    /// Reads a deployment's `litellm_params` and `model_info`, the one that counts more last. Other fields are left
    /// alone; every price that cannot be read is told.
    pub fn read(blocks: &[&Map<String, Value>]) -> Result<Self, Vec<InvalidPrice>> {
        let (mut overrides, mut faults) = (Self::default(), Vec::new());
        for (field, value) in
            blocks.iter().flat_map(|block| block.iter()).filter(|(_, value)| !value.is_null())
        {
            if let Err(fault) = overrides.take(field, value) {
                faults.push(fault);
            }
        }
        match faults.is_empty() {
            true => Ok(overrides),
            false => Err(faults),
        }
    }

    /// Whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A flag that is overridden.
    pub fn supports(&self, what: &str) -> Option<bool> {
        self.supports.iter().rev().find(|(flag, _)| flag == what).map(|(_, can)| *can)
    }

    fn take(&mut self, field: &str, value: &Value) -> Result<(), InvalidPrice> {
        match field {
            "base_model" => self.base_model = value.as_str().map(str::to_owned),
            "mode" => self.mode = value.as_str().map(str::to_owned),
            "max_input_tokens" => self.limits.max_input = whole(value),
            "max_output_tokens" => self.limits.max_output = whole(value),
            // The older name of the output limit; the newer one wins whatever their order is.
            "max_tokens" => {}
            _ => return self.take_other(field, value),
        }
        Ok(())
    }

    fn take_other(&mut self, field: &str, value: &Value) -> Result<(), InvalidPrice> {
        if let Some(flag) = field.strip_prefix("supports_") {
            self.supports.extend(value.as_bool().map(|can| (flag.to_owned(), can)));
            return Ok(());
        }
        if STRUCTURED.contains(&field) {
            return self.take_structured(field, value);
        }
        if !is_price(field) {
            return Ok(());
        }
        let fault = || InvalidPrice { field: field.to_owned(), value: value.to_string() };
        let price = price_of(value).ok_or_else(fault)?;
        self.prices.set(PriceField::parse(Cow::Owned(field.to_owned())), price);
        Ok(())
    }

    fn take_structured(&mut self, field: &str, value: &Value) -> Result<(), InvalidPrice> {
        let Some(sizes) = value.as_object().filter(|_| field == "search_context_cost_per_query") else {
            let mut structured = self.prices.structured().cloned().unwrap_or_default();
            structured.insert(field.to_owned(), value.clone());
            self.prices.set_structured(structured);
            return Ok(());
        };
        for (size, value) in sizes {
            let field = format!("{field}.{size}");
            let Some(price) = price_of(value) else {
                return Err(InvalidPrice { field, value: value.to_string() });
            };
            self.prices.set(PriceField::parse(Cow::Owned(field)), price);
        }
        Ok(())
    }
}

impl fmt::Display for InvalidPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a price in dollars: {}", self.field, self.value)
    }
}

impl std::error::Error for InvalidPrice {}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}
