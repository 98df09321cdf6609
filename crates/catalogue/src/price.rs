//! What one model costs, field by field.

use std::borrow::Cow;

use gatewright_core::Price;
use serde_json::{Map, Value};

use crate::field::{METERS, name};
use crate::off_peak::OffPeak;
use crate::{Billing, Meter, PriceField, ServiceTier};

/// What one model costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    rates: Vec<Rate>,
    steps: Vec<Step>,
    other: Vec<(Cow<'static, str>, Price)>,
    off_peak: Option<Box<OffPeak>>,
    structured: Option<Box<Map<String, Value>>>,
    /// How the provider bills.
    pub billing: Billing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    meter: Meter,
    tier: ServiceTier,
    over: u64,
    price: Price,
}

/// Rates that hold for all tokens of a request whose input is longer than `over` (`tiered_pricing`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) over: u64,
    pub(crate) rates: Vec<(Meter, Price)>,
}

// === impl Prices ===

impl Prices {
    /// Sets one price; one that was there is replaced.
    pub fn set(&mut self, field: PriceField, price: Price) {
        match field {
            PriceField::Rate { meter, tier, over } => {
                self.rates.retain(|r| (r.meter, r.tier, r.over) != (meter, tier, over));
                self.rates.push(Rate { meter, tier, over, price });
            }
            PriceField::Other(name) => {
                self.other.retain(|(other, _)| *other != name);
                self.other.push((name, price));
            }
        }
    }

    /// The price of one field, by its name in price lists.
    pub fn field(&self, name: &str) -> Option<Price> {
        match PriceField::parse_ref(name) {
            Some((meter, tier, over)) => self.exact(meter, tier, over),
            None => self.other.iter().find(|(other, _)| other == name).map(|(_, price)| *price),
        }
    }

    /// Every price that is one number, by its name in price lists.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'_, str>, Price)> {
        let rates = self.rates.iter().map(|r| (Cow::Owned(name(r.meter, r.tier, r.over)), r.price));
        rates.chain(self.other.iter().map(|(name, price)| (Cow::Borrowed(&**name), *price)))
    }

    /// Prices with a structure of their own (`tiered_pricing`, `off_peak_pricing`), as price lists write them.
    pub fn structured(&self) -> Option<&Map<String, Value>> {
        self.structured.as_deref()
    }

    /// Sets the prices with a structure; what of them costs are computed with is read here.
    pub fn set_structured(&mut self, structured: Map<String, Value>) {
        self.steps =
            structured.get("tiered_pricing").and_then(Value::as_array).map_or_else(Vec::new, |t| steps(t));
        let off_peak = structured.get("off_peak_pricing").and_then(Value::as_object);
        self.off_peak = off_peak.and_then(OffPeak::read).map(Box::new);
        self.structured = Some(Box::new(structured));
    }

    /// Whether nothing at all is known.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.other.is_empty() && self.structured.is_none()
    }

    /// Replaces what `over` has prices for.
    pub fn merge(&mut self, over: &Self) {
        for rate in &over.rates {
            self.set(PriceField::Rate { meter: rate.meter, tier: rate.tier, over: rate.over }, rate.price);
        }
        for (name, price) in &over.other {
            self.set(PriceField::Other(name.clone()), *price);
        }
        if let Some(theirs) = &over.structured {
            let mut merged = self.structured.take().map_or_else(Map::new, |mine| *mine);
            merged.extend(theirs.iter().map(|(key, value)| (key.clone(), value.clone())));
            self.set_structured(merged);
        }
    }

    /// Puts an operator's prices over these. One for input, output or a picture is all of it: what the list says of long
    /// requests, classes of service, hours, thinking and a picture's tokens was a variation of its own price.
    pub(crate) fn override_with(&mut self, own: &Self) {
        if own.says(Meter::Input) || own.says(Meter::Output) {
            self.structured = None;
            self.steps = Vec::new();
            self.off_peak = None;
        }
        self.rates.retain(|r| !own.covers(r.meter));
        if own.says(Meter::Images) {
            let free = PriceField::Rate { meter: Meter::ImageOutput, tier: ServiceTier::Standard, over: 0 };
            self.set(free, Price::default());
        }
        self.merge(own);
    }

    fn says(&self, meter: Meter) -> bool {
        self.exact(meter, ServiceTier::Standard, 0).is_some()
    }

    fn covers(&self, meter: Meter) -> bool {
        match meter {
            Meter::Reasoning => self.says(Meter::Output),
            meter => self.says(meter),
        }
    }

    pub(crate) fn exact(&self, meter: Meter, tier: ServiceTier, over: u64) -> Option<Price> {
        let rate = self.rates.iter().find(|r| (r.meter, r.tier, r.over) == (meter, tier, over));
        rate.map(|rate| rate.price)
    }

    /// The highest threshold that this input passes; zero where it passes none.
    pub(crate) fn threshold(&self, input: u64) -> u64 {
        let passed = |over: u64| input > over || (self.billing.inclusive_thresholds && input == over);
        let thresholds =
            self.rates.iter().filter(|r| r.meter == Meter::Input && r.tier == ServiceTier::Standard);
        thresholds.map(|r| r.over).filter(|over| *over > 0 && passed(*over)).max().unwrap_or(0)
    }

    /// The rates of the step that this input falls into: the last one that begins below it.
    pub(crate) fn step(&self, input: u64) -> Option<&Step> {
        self.steps.iter().rev().find(|step| input > step.over)
    }

    pub(crate) fn off_peak(&self) -> Option<&OffPeak> {
        self.off_peak.as_deref()
    }

    /// The dearest rate of these meters at any threshold up to this input.
    pub(crate) fn dearest(&self, meters: &[Meter], input: u64) -> Option<Price> {
        let rates =
            self.rates.iter().filter(|r| meters.contains(&r.meter) && r.over <= input).map(|r| r.price);
        let steps = self.steps.iter().filter(|step| step.over <= input).flat_map(|step| &step.rates);
        rates.chain(steps.filter(|(meter, _)| meters.contains(meter)).map(|(_, price)| *price)).max()
    }
}

/// Reads a price that a list or a config gives as a number or as text.
pub(crate) fn price_of(value: &Value) -> Option<Price> {
    match value {
        // The shortest text of a float is the decimal that was meant.
        Value::Number(number) => Price::parse_dollars(&number.to_string()),
        Value::String(text) => Price::parse_dollars(text),
        _ => None,
    }
}

/// The rates in one block of a price list.
pub(crate) fn rates_of(block: &Map<String, Value>) -> Vec<(Meter, Price)> {
    let rate = |(field, meter): &(&str, Meter)| Some((*meter, price_of(block.get(*field)?)?));
    METERS.iter().filter_map(rate).collect()
}

/// The steps of `tiered_pricing` that price tokens, lowest first.
fn steps(tiers: &[Value]) -> Vec<Step> {
    let mut steps: Vec<Step> = tiers
        .iter()
        .filter_map(|tier| {
            let over = tier.get("range")?.get(0)?.as_f64()?;
            tier.get("input_cost_per_token")?;
            // Ranges are written as whole numbers or as floats of whole numbers.
            Some(Step { over: whole(over), rates: rates_of(tier.as_object()?) })
        })
        .collect();
    steps.sort_by_key(|step| step.over);
    steps
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first; `as` saturates")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}
