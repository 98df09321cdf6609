//! What a use costs, exactly: sums in femto-dollars, rounded once.

use gatewright_core::{Money, Price, Usage};

use crate::off_peak::OffPeak;
use crate::price::Step;
use crate::{Meter, Prices, ServiceTier};

/// The terms under which an answer is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The class of service.
    pub tier: ServiceTier,
    /// How much a web search reads.
    pub search: SearchSize,
    /// When it was answered, in Unix seconds; only prices that differ by the hour ask for it.
    pub at: Option<u64>,
}

/// How much a web search reads (`search_context_size`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchSize {
    /// Little.
    Low,
    /// As providers do it without being asked.
    #[default]
    Medium,
    /// Much.
    High,
}

/// A cost and its parts. Each is rounded by itself, so parts may differ from the total by a nano-dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Everything.
    pub total: Money,
    /// All input, cache reads and writes in it.
    pub input: Money,
    /// All output, reasoning in it.
    pub output: Money,
    /// Input that a cache served.
    pub cache_read: Money,
    /// Input that was written to a cache.
    pub cache_creation: Money,
    /// Output that was reasoning.
    pub reasoning: Money,
    /// Tools that the provider ran.
    pub tool_usage: Money,
}

const INPUT: &[Meter] = &[
    Meter::Input,
    Meter::CacheRead,
    Meter::CacheWrite5m,
    Meter::CacheWrite1h,
    Meter::AudioInput,
    Meter::ImageInput,
];
const OUTPUT: &[Meter] = &[Meter::Output, Meter::Reasoning, Meter::AudioOutput, Meter::ImageOutput];

/// The parts in femto-dollars.
#[derive(Clone, Copy, Debug, Default)]
struct Exact {
    plain_input: u128,
    cache_read: u128,
    cache_creation: u128,
    plain_output: u128,
    reasoning: u128,
    tool_usage: u128,
    /// What is billed by the piece: searches through documents, pictures, sound, spoken characters.
    pieces: u128,
}

/// Finds the rate of a meter for one answer.
struct Rates<'a> {
    prices: &'a Prices,
    tier: ServiceTier,
    threshold: u64,
    step: Option<&'a Step>,
    off_peak: Option<&'a OffPeak>,
}

// === impl Prices ===

impl Prices {
    /// What this use costs. What the provider reports wins where it bills so.
    pub fn cost(&self, usage: &Usage, terms: Terms) -> Money {
        match self.reported(usage) {
            Some(reported) => reported,
            None => Money::from_femto(self.femto(usage, terms)),
        }
    }

    /// What this use costs by the rates alone, in femto-dollars, not yet rounded.
    pub fn femto(&self, usage: &Usage, terms: Terms) -> u128 {
        self.parts(usage, terms).total()
    }

    /// What this use costs, with its parts.
    pub fn breakdown(&self, usage: &Usage, terms: Terms) -> Breakdown {
        let parts = self.parts(usage, terms);
        Breakdown {
            total: self.reported(usage).unwrap_or_else(|| Money::from_femto(parts.total())),
            input: Money::from_femto(parts.input()),
            output: Money::from_femto(parts.output()),
            cache_read: Money::from_femto(parts.cache_read),
            cache_creation: Money::from_femto(parts.cache_creation),
            reasoning: Money::from_femto(parts.reasoning),
            tool_usage: Money::from_femto(parts.tool_usage),
        }
    }

    /// More than this a call cannot cost, whatever of its tokens are cached, audio, images or reasoning and whatever
    /// class serves it; searches are not in it.
    pub fn upper_bound(&self, input: u64, output: u64) -> Money {
        let rate = |meters| self.dearest(meters, input).unwrap_or_default();
        let femto = rate(INPUT).times(input).saturating_add(rate(OUTPUT).times(output));
        // Up, not half to even: a bound must hold.
        Money::from_femto(femto.saturating_add(499_999))
    }

    /// The most that one token of input and one of output cost beside so much input. Where a request is `plain`, no
    /// more than text and reasoning at these terms: no sound, no pictures, nothing written to a cache.
    pub fn dearest_token(&self, input: u64, terms: Terms, plain: bool) -> (Price, Price) {
        if !plain {
            let rate = |meters| self.dearest(meters, input).unwrap_or_default();
            return (rate(INPUT), rate(OUTPUT));
        }
        let rates = Rates::new(self, input, terms);
        (rates.of(Meter::Input), rates.of(Meter::Output).max(rates.of(Meter::Reasoning)))
    }

    /// What plain text costs: a call's likely cost, without caches, audio, images and reasoning rates.
    pub fn text_cost(&self, input: u64, output: u64, terms: Terms) -> Money {
        let usage = Usage { input, output, cache_in_input: true, ..Usage::default() };
        Money::from_femto(self.femto(&usage, terms))
    }

    fn reported(&self, usage: &Usage) -> Option<Money> {
        usage.reported_cost.filter(|_| self.billing.reported_cost)
    }

    fn parts(&self, usage: &Usage, terms: Terms) -> Exact {
        let usage = &usage.billed();
        let rates = Rates::new(self, usage.total_input(), terms);
        let media_in = usage.audio_input.saturating_add(usage.image_input);
        let beside_text =
            usage.reasoning.saturating_add(usage.audio_output).saturating_add(usage.image_output);
        // Most meters of an answer stand at zero: their rates are not looked for.
        let cost = |meter, units| if units == 0 { 0 } else { rates.of(meter).times(units) };
        let search = match terms.search {
            SearchSize::Low => Meter::SearchLow,
            SearchSize::Medium => Meter::SearchMedium,
            SearchSize::High => Meter::SearchHigh,
        };
        // Price lists give both where a picture is billed by its tokens: a price by the piece is the same once more.
        let by_token = usage.image_output > 0 && rates.of(Meter::ImageOutput) > Price::default();
        let images = if by_token { 0 } else { usage.images };
        Exact {
            plain_input: cost(Meter::Input, usage.uncached_input().saturating_sub(media_in))
                .saturating_add(cost(Meter::AudioInput, usage.audio_input))
                .saturating_add(cost(Meter::ImageInput, usage.image_input)),
            cache_read: cost(Meter::CacheRead, usage.cache_read),
            cache_creation: cost(Meter::CacheWrite5m, usage.cache_write_5m)
                .saturating_add(cost(Meter::CacheWrite1h, usage.cache_write_1h)),
            plain_output: cost(Meter::Output, usage.output.saturating_sub(beside_text))
                .saturating_add(cost(Meter::AudioOutput, usage.audio_output))
                .saturating_add(cost(Meter::ImageOutput, usage.image_output)),
            reasoning: cost(Meter::Reasoning, usage.reasoning),
            tool_usage: cost(search, usage.web_searches),
            pieces: cost(Meter::SearchUnits, usage.search_units)
                .saturating_add(cost(Meter::Images, images))
                .saturating_add(cost(Meter::Characters, usage.characters))
                .saturating_add(cost(Meter::SecondsHeard, usage.audio_millis) / 1000),
        }
    }
}

// === impl Exact ===

impl Exact {
    fn input(&self) -> u128 {
        let tokens = self.plain_input.saturating_add(self.cache_read).saturating_add(self.cache_creation);
        tokens.saturating_add(self.pieces)
    }

    fn output(&self) -> u128 {
        self.plain_output.saturating_add(self.reasoning)
    }

    fn total(&self) -> u128 {
        self.input().saturating_add(self.output()).saturating_add(self.tool_usage)
    }
}

// === impl Rates ===

impl<'a> Rates<'a> {
    fn new(prices: &'a Prices, input: u64, terms: Terms) -> Self {
        let off_peak = prices.off_peak().zip(terms.at).filter(|(off_peak, at)| off_peak.holds(*at));
        Self {
            prices,
            tier: terms.tier,
            threshold: prices.threshold(input),
            step: prices.step(input),
            off_peak: off_peak.map(|(off_peak, _)| off_peak),
        }
    }

    /// The rate of a meter, or of the one that stands in for it; free where neither has one.
    fn of(&self, meter: Meter) -> Price {
        self.own(meter).or_else(|| stand_in(meter).map(|other| self.of(other))).unwrap_or_default()
    }

    fn own(&self, meter: Meter) -> Option<Price> {
        if let Some(price) = self.off_peak.and_then(|off_peak| find(off_peak.rates(), meter)) {
            return Some(price);
        }
        match self.step {
            Some(step) => find(&step.rates, meter).or_else(|| self.beside_steps(meter)),
            None => self.listed(meter),
        }
    }

    /// A table of steps speaks for input, output and caches; what it does not price itself goes at the step's input
    /// or output rate. Only output may be priced outside, and searches always are.
    fn beside_steps(&self, meter: Meter) -> Option<Price> {
        match meter {
            Meter::Input
            | Meter::CacheRead
            | Meter::CacheWrite5m
            | Meter::CacheWrite1h
            | Meter::Reasoning
            | Meter::AudioInput
            | Meter::AudioOutput
            | Meter::ImageInput
            | Meter::ImageOutput => None,
            _ => self.listed(meter),
        }
    }

    /// At the threshold before below it, at the class of service before the standard one.
    fn listed(&self, meter: Meter) -> Option<Price> {
        // A class with an output rate of its own bills reasoning at it unless it prices reasoning too.
        if meter == Meter::Reasoning && self.tier != ServiceTier::Standard {
            let own = self.prices.exact(meter, self.tier, 0);
            let output = self.prices.exact(Meter::Output, self.tier, 0);
            if own.is_some() || output.is_some() {
                return own;
            }
        }
        let steps = [
            (self.tier, self.threshold),
            (ServiceTier::Standard, self.threshold),
            (self.tier, 0),
            (ServiceTier::Standard, 0),
        ];
        steps.into_iter().find_map(|(tier, over)| self.prices.exact(meter, tier, over))
    }
}

fn find(rates: &[(Meter, Price)], meter: Meter) -> Option<Price> {
    rates.iter().find(|(m, _)| *m == meter).map(|(_, price)| *price)
}

/// Which meter's rate holds where one has none of its own.
fn stand_in(meter: Meter) -> Option<Meter> {
    match meter {
        Meter::CacheRead | Meter::CacheWrite5m | Meter::AudioInput | Meter::ImageInput => Some(Meter::Input),
        Meter::CacheWrite1h => Some(Meter::CacheWrite5m),
        Meter::Reasoning | Meter::AudioOutput | Meter::ImageOutput => Some(Meter::Output),
        // Price lists give one or the other, and where they give both it is the same.
        Meter::Images => Some(Meter::ImagesAsked),
        Meter::SecondsHeard => Some(Meter::SecondsMade),
        _ => None,
    }
}
