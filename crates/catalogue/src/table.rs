//! The model table: sorted lines that are searched in place and decoded one at a time, so that loading costs nothing.
//!
//! A line per model, sorted by name, with tab-separated columns: name, provider, mode, limits, prices, supports,
//! supports not, endpoints, input modalities, output modalities, day of retirement, prices with a structure (JSON).
//! Words are single characters that stand for the words of the head's vocabularies, in their order. Columns at the
//! end that are empty are left out.
//! A price is its field's character, the leading digits of its femto-dollars, and a letter for the zeros that follow.

use std::cmp::Ordering;

use gatewright_core::Price;

use crate::row::{Limits, ModelRow};
use crate::{PriceField, Prices};

/// The first line of a table that this code can read.
pub const FORMAT: &str = "gatewright models 1";

/// The vocabularies of a table's head, in their order there.
const WORDS: [&str; 6] = ["providers", "modes", "fields", "flags", "endpoints", "modalities"];

/// The characters of a vocabulary's words: those from `0` to `~`, and from `À` on when they do not suffice.
const FIRST: u32 = '0' as u32;
const PLAIN: u32 = '~' as u32 - FIRST + 1;
const BEYOND: u32 = 'À' as u32 - PLAIN;

/// A model table.
#[derive(Debug)]
pub struct Table {
    lines: &'static str,
    providers: Vec<&'static str>,
    modes: Vec<&'static str>,
    fields: Vec<PriceField>,
    flags: Vec<&'static str>,
    endpoints: Vec<&'static str>,
    modalities: Vec<&'static str>,
}

// === impl Table ===

impl Table {
    /// Reads a table's head; `None` where it is of another format.
    pub fn new(text: &'static str) -> Option<Self> {
        let mut rest = text.strip_prefix(FORMAT)?.strip_prefix('\n')?;
        let mut words = || -> Option<Vec<&'static str>> {
            let (line, below) = rest.split_once('\n')?;
            rest = below;
            Some(line.split(' ').skip(1).collect())
        };
        let [providers, modes, fields, flags, endpoints, modalities] =
            [words()?, words()?, words()?, words()?, words()?, words()?];
        let fields = fields.into_iter().map(PriceField::parse).collect();
        Some(Self { lines: rest, providers, modes, fields, flags, endpoints, modalities })
    }

    /// The row of exactly this name.
    pub fn find(&self, name: &str) -> Option<ModelRow> {
        self.search(name).and_then(|line| self.decode(line))
    }

    /// Every row, in the order of names.
    pub fn rows(&self) -> impl Iterator<Item = ModelRow> {
        self.lines.lines().filter_map(|line| self.decode(line))
    }

    /// Name, provider and mode of every row, without decoding the rest.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Head> {
        self.lines.lines().filter_map(|line| self.head(&mut line.split('\t')))
    }

    /// Name, provider and mode of the row of exactly this name.
    pub(crate) fn find_head(&self, name: &str) -> Option<Head> {
        self.search(name).and_then(|line| self.head(&mut line.split('\t')))
    }

    fn search(&self, name: &str) -> Option<&'static str> {
        let bytes = self.lines.as_bytes();
        let (mut low, mut high) = (0, bytes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = memchr::memrchr(b'\n', bytes.get(low..middle)?).map_or(low, |at| low + at + 1);
            let end = memchr::memchr(b'\n', bytes.get(start..high)?).map_or(high, |at| start + at);
            let line = self.lines.get(start..end)?;
            let (key, _) = line.split_once('\t').unwrap_or((line, ""));
            match key.cmp(name) {
                Ordering::Equal => return Some(line),
                Ordering::Less => low = end + 1,
                Ordering::Greater => high = start,
            }
        }
        None
    }

    fn head(&self, columns: &mut std::str::Split<'static, char>) -> Option<Head> {
        Some(Head {
            name: columns.next()?,
            provider: word(&self.providers, columns.next()?)?,
            mode: word(&self.modes, columns.next()?).unwrap_or(""),
        })
    }

    fn decode(&self, line: &'static str) -> Option<ModelRow> {
        let mut columns = line.split('\t');
        let Head { name, provider, mode } = self.head(&mut columns)?;
        let limits = Limits::decode(columns.next().unwrap_or_default());
        let mut prices = self.prices(columns.next().unwrap_or_default());
        let mut list = |words: &[&'static str]| -> Vec<&'static str> {
            columns.next().unwrap_or_default().chars().filter_map(|code| at(words, code)).copied().collect()
        };
        let row = ModelRow {
            name,
            provider,
            mode,
            limits,
            supports: list(&self.flags),
            supports_not: list(&self.flags),
            endpoints: list(&self.endpoints),
            modalities: list(&self.modalities),
            output_modalities: list(&self.modalities),
            retires: columns.next().filter(|day| !day.is_empty()),
            prices: {
                if let Some(structured) = columns.next().and_then(|json| serde_json::from_str(json).ok()) {
                    prices.set_structured(structured);
                }
                prices
            },
        };
        Some(row)
    }

    fn prices(&self, column: &str) -> Prices {
        let mut prices = Prices::default();
        let mut chars = column.chars();
        while let Some(code) = chars.next() {
            let mut femto: u64 = 0;
            for c in chars.by_ref() {
                match c.to_digit(10) {
                    Some(digit) => femto = femto.saturating_mul(10).saturating_add(u64::from(digit)),
                    None => {
                        let zeros = u32::from(c).saturating_sub(u32::from('a'));
                        femto = femto.saturating_mul(10u64.saturating_pow(zeros));
                        break;
                    }
                }
            }
            if let Some(field) = at(&self.fields, code) {
                prices.set(field.clone(), Price(femto));
            }
        }
        prices
    }
}

/// The columns that tell what a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) mode: &'static str,
}

/// Writes tables; used by the generator alone, but beside the reader so that one file holds the format.
#[derive(Debug, Default)]
pub struct TableWriter {
    words: [Vec<String>; 6],
    lines: Vec<String>,
}

/// One model, as a [`TableWriter`] takes it.
#[derive(Debug, Default)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// What it is for.
    pub mode: String,
    /// Its limits.
    pub limits: Limits,
    /// Its prices by field.
    pub prices: Vec<(String, Price)>,
    /// Prices with a structure, as JSON; empty where there are none.
    pub structured: String,
    /// What it can.
    pub supports: Vec<String>,
    /// What it cannot.
    pub supports_not: Vec<String>,
    /// Endpoints that serve it.
    pub endpoints: Vec<String>,
    /// What it reads.
    pub modalities: Vec<String>,
    /// What it writes.
    pub output_modalities: Vec<String>,
    /// When it is retired; empty where no day is known.
    pub retires: String,
}

impl TableWriter {
    /// Adds a model. Words get their characters in the order in which they are met.
    pub fn add(&mut self, entry: &Entry) {
        let provider = self.codes(0, std::slice::from_ref(&entry.provider));
        let mode = match entry.mode.as_str() {
            "" => String::new(),
            _ => self.codes(1, std::slice::from_ref(&entry.mode)),
        };
        let prices: String = entry
            .prices
            .iter()
            .map(|(field, price)| self.codes(2, std::slice::from_ref(field)) + &digits(*price))
            .collect();
        let columns = [
            entry.name.clone(),
            provider,
            mode,
            entry.limits.encode(),
            prices,
            self.codes(3, &entry.supports),
            self.codes(3, &entry.supports_not),
            self.codes(4, &entry.endpoints),
            self.codes(5, &entry.modalities),
            self.codes(5, &entry.output_modalities),
            entry.retires.clone(),
            entry.structured.clone(),
        ];
        self.lines.push(columns.join("\t"));
    }

    /// The whole table.
    pub fn finish(mut self) -> String {
        // Names hold no character below a tab, so lines sort as their names do.
        self.lines.sort_by(|a, b| a.split('\t').next().cmp(&b.split('\t').next()));
        let heads = WORDS.iter().zip(&self.words).map(|(name, words)| format!("{name} {}", words.join(" ")));
        let mut text = FORMAT.to_owned();
        for line in heads.chain(self.lines) {
            text.push('\n');
            text.push_str(line.trim_end_matches([' ', '\t']));
        }
        text
    }

    fn codes(&mut self, vocabulary: usize, words: &[String]) -> String {
        let Some(known) = self.words.get_mut(vocabulary) else { return String::new() };
        let mut codes = String::new();
        for word in words {
            let index = known.iter().position(|k| k == word).unwrap_or_else(|| {
                known.push(word.clone());
                known.len() - 1
            });
            codes.extend(u32::try_from(index).ok().and_then(code));
        }
        codes
    }
}

fn digits(price: Price) -> String {
    let (mut digits, mut zeros) = (price.0, b'a');
    while digits != 0 && digits % 10 == 0 {
        digits /= 10;
        zeros += 1;
    }
    format!("{digits}{}", char::from(zeros))
}

fn word(words: &[&'static str], codes: &str) -> Option<&'static str> {
    at(words, codes.chars().next()?).copied()
}

fn at<T>(words: &[T], code: char) -> Option<&T> {
    let code = u32::from(code);
    let index = code.checked_sub(if code < FIRST + PLAIN { FIRST } else { BEYOND })?;
    words.get(usize::try_from(index).ok()?)
}

fn code(index: u32) -> Option<char> {
    char::from_u32(index + if index < PLAIN { FIRST } else { BEYOND })
}
